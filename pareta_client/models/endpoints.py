"""Deployed endpoints, and the events of a deployment."""

from typing import Any, TypedDict

from pydantic import Field

from pareta_client.models.fields import LooseText
from pareta_client.models.record import Record, text_or_none


class DeployEvent(TypedDict):
    """One event of a deployment: `progress` with stage and pct, then `complete` or `error`."""

    event: str
    data: Any  # the event's JSON, or its text when it is not JSON


class Endpoint(Record):
    """A deployed model; `id` is what `chat.completions.create(model=…)` takes."""

    name: LooseText = None
    model: LooseText = None
    status: LooseText = None
    url: LooseText = None
    recommended_system_prompt: LooseText = Field(default=None, validation_alias="recommendedSystemPrompt")
    prompt_scaffold: LooseText = Field(default=None, validation_alias="promptScaffold")

    @property
    def id(self) -> str | None:
        """The endpoint's id, or its name where the service gives no id."""
        return text_or_none(self.get("id")) or text_or_none(self.name)

    @property
    def task(self) -> str | None:
        """The task it was deployed for."""
        return text_or_none(self.get("taskName")) or text_or_none(self.get("task"))

    @property
    def is_live(self) -> bool:
        """Whether it answers now."""
        return self.status == "live"
