"""Endpoints and deployment events."""

from typing import Any, TypedDict

from pydantic import Field

from pareta_client.models.fields import LooseText
from pareta_client.models.record import Record, text_or_none


class DeployEvent(TypedDict):
    """One event of a deployment: `progress` with stage and pct, then `complete` or `error`."""

    event: str
    data: Any  # the JSON of the event, or its text if it is not JSON


class Endpoint(Record):
    """A deployed model; `id` is the `model` of `chat.completions.create`."""

    name: LooseText = None
    model: LooseText = None
    status: LooseText = None
    url: LooseText = None
    recommended_system_prompt: LooseText = Field(default=None, validation_alias="recommendedSystemPrompt")
    prompt_scaffold: LooseText = Field(default=None, validation_alias="promptScaffold")

    @property
    def id(self) -> str | None:
        """Id of the endpoint, or its name if the service sends no id."""
        return text_or_none(self.get("id")) or text_or_none(self.name)

    @property
    def task(self) -> str | None:
        """Task of the deployment."""
        return text_or_none(self.get("taskName")) or text_or_none(self.get("task"))

    @property
    def is_live(self) -> bool:
        """Whether the endpoint accepts calls."""
        return self.status == "live"
