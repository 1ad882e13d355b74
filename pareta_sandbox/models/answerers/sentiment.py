"""Classification of sentiment at five skill levels, from word counts to contrast and idioms."""

import re
from typing import Literal

from pareta_sandbox.models.prompts import ParsedPrompt, listed_labels

Sentiment = Literal["positive", "negative", "neutral"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


GOOD = _words(
    "good great excellent love loved loves amazing perfect perfectly happy best wonderful fantastic nice awesome "
    "delightful superb brilliant enjoy enjoyed recommend pleased easy fast reliable comfortable beautiful friendly "
    "helpful impressed solid sturdy crisp smooth delicious"
)
BAD = _words(
    "bad terrible awful hate hated worst poor broken broke disappointed disappointing horrible useless slow rude "
    "refund waste cheap flimsy annoying defective noisy dirty bland overpriced failed fails crash crashes crashed "
    "unusable late cracked leaking scratched misleading stale"
)
NEGATIONS = _words("not never no hardly isn't wasn't don't doesn't didn't won't can't couldn't without nothing")
STRONG = _words("very really extremely absolutely so incredibly utterly totally")
IDIOMS: tuple[tuple[str, int], ...] = (
    ("could not be happier", 3),
    ("couldn't be happier", 3),
    ("could not ask for more", 3),
    ("couldn't ask for more", 3),
    ("worth every penny", 3),
    ("five stars", 2),
    ("blown away", 3),
    ("exceeded my expectations", 3),
    ("stay away", -3),
    ("save your money", -3),
    ("let down", -2),
    ("fell apart", -3),
    ("stopped working", -3),
    ("gave up", -2),
    ("never again", -3),
    ("yeah right", -3),
    ("thanks for nothing", -4),
    ("just what i needed, another", -4),
    ("left a lot to be desired", -3),
    ("nothing special", 0),
)
SYNONYMS: dict[Sentiment, tuple[str, ...]] = {
    "positive": ("pos", "good", "happy", "favourable", "favorable", "satisfied", "1"),
    "negative": ("neg", "bad", "unhappy", "unfavourable", "unfavorable", "dissatisfied", "-1"),
    "neutral": ("neu", "mixed", "other", "so-so", "0"),
}


def answer(level: int, prompt: ParsedPrompt) -> str:
    """Return the sentiment of the document as one of the labels in the instruction."""
    return as_label(classify(level, prompt.document), listed_labels(prompt.instruction))


def classify(level: int, document: str) -> Sentiment:
    """Return the sentiment that a reader of this level (1 to 5) finds."""
    text = document.lower().replace("’", "'")
    if level >= 4:
        text = _after_contrast(text)
    score = _word_score(text, negation=level >= 2, strength=level >= 3)
    if level >= 5:
        score = _idiom_score(document.lower().replace("’", "'"), score)
    if score > 0:
        return "positive"
    return "negative" if score < 0 else "neutral"


def as_label(sentiment: Sentiment, offered: list[str]) -> str:
    """Return the offered label with the same meaning, or the sentiment itself."""
    for label in offered:
        word = label.lower()
        if word.startswith(sentiment) or word in SYNONYMS[sentiment]:
            return label
    return sentiment


def _after_contrast(text: str) -> str:
    # The text after the last 'but' decides.
    turned = re.split(r"\b(?:but|however|although|though|yet|unfortunately)\b", text)
    return turned[-1] if len(turned) > 1 and len(turned[-1].split()) >= 3 else text


def _word_score(text: str, *, negation: bool, strength: bool) -> int:
    score, words = 0, re.findall(r"[a-z']+", text)
    for place, word in enumerate(words):
        value = (word in GOOD) - (word in BAD)
        before = words[max(0, place - 3) : place]
        if value and negation and any(w in NEGATIONS for w in before):
            value = -value
        if value and strength and any(w in STRONG for w in before[-1:]):
            value *= 2
        score += value
    return score


def _idiom_score(text: str, score: int) -> int:
    for idiom, value in IDIOMS:
        if idiom in text:
            return value
    return score
