"""Built-in models: rule-based readers that answer from the prompt only, one module per task."""

from collections.abc import Callable

from pareta_sandbox.models import prompts
from pareta_sandbox.models.answerers import contracts, licences, sentiment, tickets

__all__ = ["SKILLS", "Answerer", "reply"]

Answerer = Callable[[int, prompts.ParsedPrompt], str]

SKILLS: dict[str, Answerer] = {
    "license-identification": licences.answer,
    "contract-extraction": contracts.answer,
    "sentiment-classification": sentiment.answer,
    "support-ticket-routing": tickets.answer,
}


def reply(task: str, level: int, system: str, user: str) -> str:
    """Answer a prompt for a task, at a skill level from 1 (weakest) to 5."""
    return SKILLS[task](level, prompts.read(system, user))
