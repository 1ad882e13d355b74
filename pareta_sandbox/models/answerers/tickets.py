"""Routing of support tickets to a team at five skill levels, from keywords to the actual request."""

import re
from collections import Counter

from pareta_sandbox.models.prompts import ParsedPrompt, listed_labels

TEAMS = ("billing", "technical", "account", "shipping", "sales")

# Level 1 knows only the first word of each line.
WORDS: dict[str, tuple[str, ...]] = {
    "billing": ("invoice", "charged", "refund", "payment", "billed", "receipt", "card", "vat", "subscription fee"),
    "technical": ("error", "crash", "bug", "broken", "timeout", "not working", "api", "500", "slow", "fails", "export"),
    "account": (
        "password",
        "login",
        "log in",
        "sign in",
        "locked",
        "two-factor",
        "email address",
        "username",
        "profile",
    ),
    "shipping": ("delivery", "parcel", "tracking", "shipped", "arrived", "courier", "package", "warehouse"),
    "sales": ("pricing", "quote", "upgrade", "trial", "discount", "enterprise plan", "demo", "seats", "volume"),
}
SYNONYMS: dict[str, tuple[str, ...]] = {
    "billing": ("payment", "finance", "invoic"),
    "technical": ("tech", "bug", "engineering", "support", "product"),
    "account": ("login", "access", "identity", "security"),
    "shipping": ("deliver", "logistic", "order", "fulfil"),
    "sales": ("pre-sales", "commercial", "pricing", "upgrade"),
}
REQUEST = re.compile(r"(please|can you|could you|i (?:need|want|would like)|how (?:do|can) (?:i|we)|\?)", re.IGNORECASE)
# A symptom outweighs the topic: a payment page that crashes is a technical ticket.
SYMPTOMS = re.compile(r"\b(crash\w*|error|exception|blank page|spinner|stack trace|500|times? out|freezes?)\b", re.I)
MONEY_BACK = re.compile(r"\b(refund|charged twice|double charge|money back|overcharged|invoice)\b", re.IGNORECASE)


def answer(level: int, prompt: ParsedPrompt) -> str:
    """Return the team for the ticket as one of the labels in the instruction."""
    return as_label(route(level, prompt.document), listed_labels(prompt.instruction))


def route(level: int, ticket: str) -> str:
    """Return the team that a reader of this level (1 to 5) selects."""
    votes = _votes(ticket.lower(), known=(1, 3, 5, 20, 20)[level - 1])
    if level >= 3:
        # Sentences with a request count twice.
        requests = " ".join(s for s in re.split(r"(?<=[.!?])\s+", ticket) if REQUEST.search(s))
        votes.update(_votes(requests.lower(), known=20))
    if level >= 4 and MONEY_BACK.search(ticket):
        votes["billing"] += 2
    if level >= 5 and SYMPTOMS.search(ticket) and not MONEY_BACK.search(ticket):
        votes["technical"] += 3
    # The first team wins a tie.
    return max(TEAMS, key=lambda team: votes[team]) if votes else "technical"


def as_label(team: str, offered: list[str]) -> str:
    """Return the offered label with the same meaning, or the team itself."""
    for label in offered:
        if team in label.lower():
            return label
    for label in offered:
        if any(word in label.lower() for word in SYNONYMS[team]):
            return label
    return team


def _votes(text: str, known: int) -> Counter[str]:
    return +Counter({team: sum(word in text for word in words[:known]) for team, words in WORDS.items()})
