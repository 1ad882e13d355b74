"""The catalogue: tasks, what matches a question, and leaderboards."""

from typing import Any

from pydantic import Field

from pareta_client.models.fields import LooseText, Number, Whole
from pareta_client.models.record import ListOf, OptionalRecord, Record


class Task(Record):
    """A benchmarked task."""

    id: LooseText = None
    default_scorer: LooseText = None
    output_schema_role: LooseText = None
    gold_schema: OptionalRecord[dict[str, Any]] = None

    @property
    def has_blob_input(self) -> bool:
        """Whether its rows carry documents to upload."""
        return bool(self.get("has_blob_input"))


class TaskMatchCandidate(Record):
    """A task that may fit, with how well."""

    task_id: LooseText = None
    score: Number = None
    confidence: LooseText = None


class Capability(Record):
    """A general lane (chat, coding, vision …) that fits where no task does."""

    id: LooseText = None
    label: LooseText = None
    category: LooseText = None
    category_id: LooseText = None
    desc: LooseText = None


class TaskMatch(Record):
    """What fits a question: `type` is task, capability, unsupported or none."""

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
        """Whether a task was found."""
        return bool(self.get("matched"))

    @property
    def ambiguous(self) -> bool:
        """Whether several tasks fit about equally."""
        return bool(self.get("ambiguous"))


class LeaderboardEntry(Record):
    """One model on a leaderboard; cost in micro-USD a request, context in thousands of tokens."""

    name: LooseText = None
    kind: LooseText = None
    quality: Number = None
    cost_per_request_micro_usd: Whole = None
    context_k: Whole = None
    run_mode: LooseText = None


class Leaderboard(Record):
    """The models of a task, ranked; `recommended` may be deployed, `frontier` is the baseline."""

    task_id: LooseText = None
    metric: LooseText = None
    cost_unit: LooseText = None
    recommended: LooseText = None
    models: ListOf[LeaderboardEntry] = Field(default_factory=list)
    frontier: OptionalRecord[LeaderboardEntry] = None
