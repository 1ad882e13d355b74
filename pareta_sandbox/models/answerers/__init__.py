"""The models behind the sandbox: small readers that answer from what the prompt says, and nothing else."""

from collections.abc import Callable

from pareta_sandbox.models import prompts
from pareta_sandbox.models.answerers import contracts, licences, sentiment, tickets

Answerer = Callable[[int, prompts.ParsedPrompt], str]

SKILLS: dict[str, Answerer] = {
    "license-identification": licences.answer,
    "contract-extraction": contracts.answer,
    "sentiment-classification": sentiment.answer,
    "support-ticket-routing": tickets.answer,
}


def reply(task: str, level: int, system: str, user: str) -> str:
    """Answer a prompt with the skill for a task, at a level from 1 (weakest) to 5."""
    return SKILLS[task](level, prompts.read(system, user))
