"""Eval sets, eval runs and their results."""

from decimal import Decimal
from math import isfinite
from typing import Any

from pydantic import Field

from pareta_client.models.fields import ListOf, LooseText, Number, OptionalRecord, RecordOf, Whole
from pareta_client.models.record import Record, dollars_floored_to_cents, text_or_none

JUDGED_TASK = "custom-eval"
"""Task that accepts any rows and is graded by judges; used only if the caller names it."""
_CLEAR_CONFIDENCE = ("high", "medium")


class FrontierModel(Record):
    """A vendor's model, available as a baseline."""

    id: LooseText = None
    vendor: LooseText = None

    @property
    def vision(self) -> bool:
        """Whether the model accepts images."""
        return bool(self.get("vision"))

    @property
    def benchmarked(self) -> bool:
        """Whether the model is on the leaderboard of the requested task."""
        return bool(self.get("benchmarked"))


class EvalSet(Record):
    """Rows with expected answers, and their scoring strategy."""

    id: LooseText = None
    task_id: LooseText = None
    name: LooseText = None
    item_count: Whole = None
    scoring_strategy: LooseText = None
    prompt: LooseText = None


class EvalItemResult(Record):
    """Scored answer of one candidate to one row."""

    idx: Whole = None
    score: Number = None
    prediction: LooseText = None
    error: LooseText = None


class EvalResult(Record):
    """Quality of one candidate with its confidence interval, and its mean cost per row in micro-USD."""

    model_id: LooseText = None
    kind: LooseText = None
    quality_mean: Number = None
    quality_ci_low: Number = None
    quality_ci_high: Number = None
    mean_cost_micro_usd: Whole = None
    n_succeeded: Whole = None
    error_count: Whole = None
    exact_match: Number = None
    per_item: ListOf[EvalItemResult] = Field(default_factory=list)


class _Run(Record):
    """The `run` object of the reply."""

    id: LooseText = None
    eval_set_id: LooseText = None
    status: LooseText = None
    error_detail: LooseText = None
    total_cost_micro_usd: Whole = None


class EvalRun(Record):
    """Evaluation of candidates on one eval set."""

    run: RecordOf[_Run] = _Run.empty()
    results: ListOf[EvalResult] = Field(default_factory=list)

    @property
    def id(self) -> str | None:
        """Id of the run, for another wait."""
        return self.run.id

    @property
    def eval_set_id(self) -> str | None:
        """Id of the eval set."""
        return self.run.eval_set_id

    @property
    def status(self) -> str | None:
        """Status: queued, running, evaluating, completed or failed."""
        return self.run.status

    @property
    def is_terminal(self) -> bool:
        """Whether the run has ended."""
        return self.status in ("completed", "failed")

    @property
    def candidate_models(self) -> list[str]:
        """Ids of the candidate models."""
        ids = self.run.get("candidate_model_ids")
        return list(ids) if isinstance(ids, list) else []

    @property
    def error_detail(self) -> str | None:
        """Reason of the failure."""
        return self.run.error_detail

    @property
    def cost_micro_usd(self) -> int:
        """Billed cost of the run in micro-USD; 0 if unknown."""
        cost = self.run.total_cost_micro_usd
        return int(cost) if isinstance(cost, int | float) and isfinite(cost) else 0

    @property
    def cost(self) -> Decimal:
        """Billed cost of the run in dollars, rounded down to cents."""
        return dollars_floored_to_cents(self.cost_micro_usd)


class ContractProposal(Record):
    """A proposed task for scoring the rows."""

    task_id: LooseText = None
    confidence: LooseText = None
    warning: LooseText = None

    @property
    def evidence(self) -> dict[str, Any]:
        """Evidence for the proposal."""
        return self.get("evidence") or {}


class ProposalResult(Record):
    """Proposed tasks for scoring rows under a prompt."""

    proposals: ListOf[ContractProposal] = Field(default_factory=list)
    split: OptionalRecord[dict[str, Any]] = None
    conflict: OptionalRecord[dict[str, Any]] = None
    closest_task: LooseText = None
    prompt: LooseText = None
    message: LooseText = None

    @property
    def homogeneous(self) -> bool:
        """Whether all rows have the same kind of task."""
        return bool(self.get("homogeneous"))

    @property
    def is_clean(self) -> bool:
        """Whether exactly one task fits with high or medium confidence."""
        return self.bound_task is not None

    @property
    def bound_task(self) -> str | None:
        """Task of an eval set that is created without `task=`; None if the caller must choose."""
        # A conflict or split of any JSON type counts, because a wrong guess would be billed.
        if not self.homogeneous or self.get("conflict") or self.get("split") or len(self.proposals) != 1:
            return None
        only = self.proposals[0]
        return (
            text_or_none(only.task_id) if only.confidence in _CLEAR_CONFIDENCE and only.task_id != JUDGED_TASK else None
        )
