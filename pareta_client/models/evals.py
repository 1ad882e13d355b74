"""Eval sets, runs and their results."""

from decimal import Decimal
from math import isfinite
from typing import Any

from pydantic import Field

from pareta_client.models.fields import LooseText, Number, Whole
from pareta_client.models.record import ListOf, OptionalRecord, Record, RecordOf, dollars_floored_to_cents, text_or_none

JUDGED_TASK = "custom-eval"
"""The task that fits anything, graded by judges: only ever chosen by name."""
_SURE = ("high", "medium")


class FrontierModel(Record):
    """A vendor's model to compare with."""

    id: LooseText = None
    vendor: LooseText = None

    @property
    def vision(self) -> bool:
        """Whether it reads images."""
        return bool(self.get("vision"))

    @property
    def benchmarked(self) -> bool:
        """Whether it is on the leaderboard of the task that was asked about."""
        return bool(self.get("benchmarked"))


class EvalSet(Record):
    """Rows with truth, and how they are scored."""

    id: LooseText = None
    task_id: LooseText = None
    name: LooseText = None
    item_count: Whole = None
    scoring_strategy: LooseText = None
    prompt: LooseText = None


class EvalItemResult(Record):
    """One candidate's answer to one row, scored."""

    idx: Whole = None
    score: Number = None
    prediction: LooseText = None
    error: LooseText = None


class EvalResult(Record):
    """One candidate's quality with its interval, and its mean cost a row in micro-USD."""

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
    """The run itself, inside the envelope that the service sends."""

    id: LooseText = None
    eval_set_id: LooseText = None
    status: LooseText = None
    error_detail: LooseText = None
    total_cost_micro_usd: Whole = None


class EvalRun(Record):
    """A comparison of candidates on one eval set."""

    run: RecordOf[_Run] = _Run.empty()
    results: ListOf[EvalResult] = Field(default_factory=list)

    @property
    def id(self) -> str | None:
        """The run's id, by which it can be waited for again."""
        return self.run.id

    @property
    def eval_set_id(self) -> str | None:
        """The set it runs on."""
        return self.run.eval_set_id

    @property
    def status(self) -> str | None:
        """queued, running, evaluating, completed or failed."""
        return self.run.status

    @property
    def is_terminal(self) -> bool:
        """Whether it has ended."""
        return self.status in ("completed", "failed")

    @property
    def candidate_models(self) -> list[str]:
        """The models compared."""
        told = self.run.get("candidate_model_ids")
        return list(told) if isinstance(told, list) else []

    @property
    def error_detail(self) -> str | None:
        """Why it failed."""
        return self.run.error_detail

    @property
    def cost_micro_usd(self) -> int:
        """What the run was billed, in micro-USD."""
        told = self.run.total_cost_micro_usd
        return int(told) if isinstance(told, int | float) and isfinite(told) else 0

    @property
    def cost(self) -> Decimal:
        """What the run was billed, in dollars floored to cents."""
        return dollars_floored_to_cents(self.cost_micro_usd)


class ContractProposal(Record):
    """A task that could score the rows."""

    task_id: LooseText = None
    confidence: LooseText = None
    warning: LooseText = None

    @property
    def evidence(self) -> dict[str, Any]:
        """Why it was proposed."""
        return self.get("evidence") or {}


class ProposalResult(Record):
    """How rows and prompt could be scored; nothing is stored by asking."""

    proposals: ListOf[ContractProposal] = Field(default_factory=list)
    split: OptionalRecord[dict[str, Any]] = None
    conflict: OptionalRecord[dict[str, Any]] = None
    closest_task: LooseText = None
    prompt: LooseText = None
    message: LooseText = None

    @property
    def homogeneous(self) -> bool:
        """Whether all rows are of one kind."""
        return bool(self.get("homogeneous"))

    @property
    def is_clean(self) -> bool:
        """Whether exactly one task fits, surely enough to be used without asking."""
        return self.bound_task is not None

    @property
    def bound_task(self) -> str | None:
        """The task that a set created without `task=` is scored by; None if the caller must choose."""
        # Anything that is told of a conflict or a split counts, whatever its type: a guess would be billed.
        if not self.homogeneous or self.get("conflict") or self.get("split") or len(self.proposals) != 1:
            return None
        only = self.proposals[0]
        return text_or_none(only.task_id) if only.confidence in _SURE and only.task_id != JUDGED_TASK else None
