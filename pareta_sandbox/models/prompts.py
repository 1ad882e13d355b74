"""Parsing of prompts into an instruction and a document."""

import re
from dataclasses import dataclass

# Longer text in front of a document is part of the document.
MAX_INSTRUCTION_CHARS = 1500

ASKS = re.compile(
    r"[?:]\s*$|\b(which|what|who|extract|classify|answer|identify|decide|label|route|reply|return|respond|tell|find)\b",
    re.IGNORECASE,
)
LISTED = re.compile(
    r"(?:one of|labels?|categor(?:y|ies)|classes|options|teams?|queues?|choose from|choose between|either)"
    r"[^:\n(]{0,40}[:(]\s*([^\n.;)]+)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class ParsedPrompt:
    """An instruction, including the system message, and the document that it refers to."""

    instruction: str
    document: str


def read(system: str, user: str) -> ParsedPrompt:
    """Split a prompt at the first blank line, or at a colon, if an instruction precedes it."""
    head, blank, rest = user.partition("\n\n")
    if blank and rest.strip() and len(head) <= MAX_INSTRUCTION_CHARS and ASKS.search(head):
        return ParsedPrompt(f"{system}\n{head}".strip(), rest.strip())
    label, colon, text = user.partition(":")
    if colon and text.strip() and len(label) <= 200 and ASKS.search(f"{label}:") and "\n" not in label:
        return ParsedPrompt(f"{system}\n{label}".strip(), text.strip())
    return ParsedPrompt(system.strip(), user.strip())


def listed_labels(instruction: str) -> list[str]:
    """Return the labels listed in an instruction, as in 'answer with one of: billing, technical'."""
    found = LISTED.search(instruction)
    if not found:
        return []
    parts = re.split(r",|/|\bor\b|\band\b|\|", found.group(1))
    labels = [part.strip(" \t\"'`*[]") for part in parts]
    return [label for label in labels if label and len(label) <= 40]
