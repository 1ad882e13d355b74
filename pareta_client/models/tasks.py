"""Task catalogue: tasks, task matches and leaderboards."""

from typing import Any

from pydantic import Field

from pareta_client.models.fields import ListOf, LooseText, Number, OptionalRecord, Whole
from pareta_client.models.record import Record


class Task(Record):
    """A benchmarked task."""

    id: LooseText = None
    default_scorer: LooseText = None
    output_schema_role: LooseText = None
    gold_schema: OptionalRecord[dict[str, Any]] = None

    @property
    def has_blob_input(self) -> bool:
        """Whether the rows of the task have documents to upload."""
        return bool(self.get("has_blob_input"))


class TaskMatchCandidate(Record):
    """A matching task with its score."""

    task_id: LooseText = None
    score: Number = None
    confidence: LooseText = None


class Capability(Record):
    """A general capability (chat, coding, vision …) for queries without a matching task."""

    id: LooseText = None
    label: LooseText = None
    category: LooseText = None
    category_id: LooseText = None
    desc: LooseText = None


class TaskMatch(Record):
    """Result of a task search; `type` is task, capability, unsupported or none."""

    query: LooseText = None
    type: LooseText = None
    chosen: OptionalRecord[TaskMatchCandidate] = None
    capability: OptionalRecord[Capability] = None
    candidates: ListOf[TaskMatchCandidate] = Field(default_factory=list)
    reasoning: LooseText = None
    confidence: LooseText = None
    matcher: LooseText = None

    @property
    def matched(self) -> bool:
        """Whether a task matches."""
        return bool(self.get("matched"))

    @property
    def ambiguous(self) -> bool:
        """Whether several tasks match equally well."""
        return bool(self.get("ambiguous"))


class LeaderboardEntry(Record):
    """One model of a leaderboard; cost in micro-USD per request, context in thousands of tokens."""

    name: LooseText = None
    kind: LooseText = None
    quality: Number = None
    cost_per_request_micro_usd: Whole = None
    context_k: Whole = None
    run_mode: LooseText = None


class Leaderboard(Record):
    """Ranked models of a task; `recommended` is the model to deploy, `frontier` the baseline."""

    task_id: LooseText = None
    metric: LooseText = None
    cost_unit: LooseText = None
    recommended: LooseText = None
    models: ListOf[LeaderboardEntry] = Field(default_factory=list)
    frontier: OptionalRecord[LeaderboardEntry] = None
