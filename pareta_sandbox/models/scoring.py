"""Scores of answers against expected ones: exact match, macro F1 and field F1, with bootstrap intervals."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np

Strategy = Literal["exact_match", "macro_f1", "field_f1"]
Expected = str | dict[str, object]

RESAMPLES = 2_000
EMBEDDED_OBJECT = re.compile(r"\{.*\}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Scored:
    """Score of one answer, from 0 to 1; an unreadable answer scores 0 and has an error."""

    score: float
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Quality:
    """Mean quality of all answers, from 0 to 1, with its 95 % percentile bootstrap interval."""

    mean: float
    low: float
    high: float
    items: tuple[Scored, ...]
    exact_match: float
    macro_f1: float | None


def measure(strategy: Strategy, answers: Sequence[str], expected: Sequence[Expected]) -> Quality:
    """Score all answers; the content seeds the resampling, so equal input gives an equal interval."""
    items = tuple(score(strategy, a, e) for a, e in zip(answers, expected, strict=True))
    exact = sum(item.score == 1 for item in items) / len(items)
    draws = _draws(answers, expected)
    truths, guesses = [label(e) for e in expected], [normal(a) for a in answers]
    macro = None if strategy == "field_f1" else macro_f1(truths, guesses)
    if strategy == "macro_f1" and macro is not None:
        mean, resampled = macro, _resampled_macro_f1(truths, guesses, draws)
    else:
        scores = [item.score for item in items]
        mean, resampled = sum(scores) / len(scores), _resampled_means(scores, draws)
    low, high = _interval(resampled)
    return Quality(mean, low, high, items, exact, macro)


def score(strategy: Strategy, answer: str, expected: Expected) -> Scored:
    """Score one answer."""
    if strategy != "field_f1":
        return Scored(float(normal(answer) == label(expected)))
    fields = parsed_object(answer)
    if fields is None:
        return Scored(0.0, "the answer is not a JSON object")
    return Scored(field_f1(fields, expected if isinstance(expected, dict) else {"value": expected}))


def field_f1(answer: dict[str, object], expected: dict[str, object]) -> float:
    """Return the F1 of the non-empty fields; null, empty and missing are equal."""
    filled = {k: normal(v) for k, v in answer.items() if v not in (None, "", [])}
    wanted = {k: normal(v) for k, v in expected.items() if v not in (None, "", [])}
    if not filled and not wanted:
        return 1.0
    right = sum(filled.get(k) == v for k, v in wanted.items())
    return 2 * right / (len(filled) + len(wanted))


def macro_f1(truths: Sequence[str], guesses: Sequence[str]) -> float:
    """Return the mean F1 over the labels that occur in `truths`."""
    return sum(_f1(name, truths, guesses) for name in set(truths)) / len(set(truths))


def _f1(name: str, truths: Sequence[str], guesses: Sequence[str]) -> float:
    right = sum(t == g == name for t, g in zip(truths, guesses, strict=True))
    return 2 * right / (truths.count(name) + guesses.count(name))


def label(expected: Expected) -> str:
    """Return the label of an expected answer: a string, or the first value of an object."""
    return normal(next(iter(expected.values())) if isinstance(expected, dict) and expected else expected)


def normal(value: object) -> str:
    """Normalise case and white space, and strip quotes and punctuation at both ends."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return " ".join(text.split()).strip(" .,;:\"'`*").casefold()


def parsed_object(answer: str) -> dict[str, object] | None:
    """Return the JSON object in an answer, also inside a code fence or prose; None without one."""
    embedded = EMBEDDED_OBJECT.search(answer)
    try:
        parsed = json.loads(embedded.group()) if embedded else None
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _draws(answers: Sequence[str], expected: Sequence[Expected]) -> "np.ndarray":
    # Imported late: the import of numpy takes longer than the start of the sandbox.
    import numpy as np

    content = json.dumps([list(answers), list(expected)], sort_keys=True).encode()
    seed = int.from_bytes(hashlib.sha256(content).digest()[:8], "big")
    return np.random.default_rng(seed).integers(0, len(answers), size=(RESAMPLES, len(answers)))


def _resampled_means(scores: Sequence[float], draws: "np.ndarray") -> "np.ndarray":
    import numpy as np

    means: np.ndarray = np.asarray(scores)[draws].mean(axis=1)
    return means


def _resampled_macro_f1(truths: Sequence[str], guesses: Sequence[str], draws: "np.ndarray") -> "np.ndarray":
    import numpy as np

    total, present = np.zeros(len(draws)), np.zeros(len(draws))
    truth, guess = np.asarray(truths), np.asarray(guesses)
    for name in set(truths):
        is_truth, is_guess = truth == name, guess == name
        in_truth, in_guess = is_truth[draws].sum(axis=1), is_guess[draws].sum(axis=1)
        right = (is_truth & is_guess)[draws].sum(axis=1)
        # A label that is missing from a resample does not count in that resample.
        total += np.where(in_truth > 0, 2 * right / np.maximum(in_truth + in_guess, 1), 0.0)
        present += in_truth > 0
    return total / present


def _interval(resampled: "np.ndarray") -> tuple[float, float]:
    import numpy as np

    low, high = np.percentile(resampled, [2.5, 97.5])
    return float(low), float(high)
