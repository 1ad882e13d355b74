"""The catalogue: tasks, what matches a question, and leaderboards."""

from typing import Any

from pydantic import Field

from pareta_client.models.record import Loose, Many, Maybe, Record


class Task(Record):
    """A benchmarked task."""

    id: Loose[str] = None
    default_scorer: Loose[str] = None
    output_schema_role: Loose[str] = None
    gold_schema: Loose[dict[str, Any]] = None

    @property
    def has_blob_input(self) -> bool:
        """Whether its rows carry documents to upload."""
        return bool(self.get("has_blob_input"))


class TaskMatchCandidate(Record):
    """A task that may fit, with how well."""

    task_id: Loose[str] = None
    score: Loose[float] = None
    confidence: Loose[str] = None


class Capability(Record):
    """A general lane (chat, coding, vision …) that fits where no task does."""

    id: Loose[str] = None
    label: Loose[str] = None
    category: Loose[str] = None
    category_id: Loose[str] = None
    desc: Loose[str] = None


class TaskMatch(Record):
    """What fits a question: `type` is task, capability, unsupported or none."""

    query: Loose[str] = None
    type: Loose[str] = None
    chosen: Maybe[TaskMatchCandidate] = None
    capability: Maybe[Capability] = None
    candidates: Many[TaskMatchCandidate] = Field(default_factory=list)
    reasoning: Loose[str] = None
    confidence: Loose[str] = None
    matcher: Loose[str] = None

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

    name: Loose[str] = None
    kind: Loose[str] = None
    quality: Loose[float] = None
    cost_per_request_micro_usd: Loose[int] = None
    context_k: Loose[int] = None
    run_mode: Loose[str] = None


class Leaderboard(Record):
    """The models of a task, ranked; `recommended` may be deployed, `frontier` is the baseline."""

    task_id: Loose[str] = None
    metric: Loose[str] = None
    cost_unit: Loose[str] = None
    recommended: Loose[str] = None
    models: Many[LeaderboardEntry] = Field(default_factory=list)
    frontier: Maybe[LeaderboardEntry] = None
