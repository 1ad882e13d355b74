"""Reports of the flows: results, status, and spending."""

from typing import Literal

from pydantic import Field

from flows.spent import Spent
from pareta_batch import BatchReport, BudgetReached, Frozen
from pareta_report import Comparison, Decision, Drift, MeasuredQuality

Status = Literal["completed", "incomplete", "stopped"]


class ComparisonReport(Frozen):
    """Results of the comparisons of one run, each decided or failed, and the path of the HTML report."""

    name: str
    comparisons: tuple[Comparison, ...]
    report: str
    spent: Spent | None = None

    @property
    def status(self) -> Status:
        """Completed only when every comparison is."""
        return "completed" if all(each.status == "completed" for each in self.comparisons) else "incomplete"

    @property
    def stopped(self) -> str | None:
        """`BudgetReached` if the budget excluded a comparison, else None."""
        # A comparison's error begins with its class.
        reached = any((each.error or "").startswith(f"{BudgetReached.__name__}: ") for each in self.comparisons)
        return BudgetReached.__name__ if reached else None

    def __str__(self) -> str:
        parts = [f"{each.name}: {each.error or each.verdict.sentence}" for each in self.comparisons]
        return "; ".join([*parts, *filter(None, [str(self.spent or "")])])


class PipelineReport(Frozen):
    """Results of a pipeline: its batch, its comparisons, and the path of the HTML report."""

    name: str
    batch: BatchReport
    quality: MeasuredQuality | None
    comparisons: ComparisonReport | None
    report: str
    spent: Spent | None = Field(None, description="Eval runs and smoke calls of this name, in all runs together")

    @property
    def total_micro_usd(self) -> int | None:
        """Cost of batch, eval runs and smoke calls in all runs; None while the cost of the batch is unknown."""
        if self.batch.billed_micro_usd is None:
            return None
        batch = self.batch.billed_micro_usd + self.batch.superseded_micro_usd
        return batch + (self.spent.spent_micro_usd if self.spent else 0)

    @property
    def status(self) -> Status:
        """The batch's status, and never better than that of the comparisons."""
        if self.batch.status != "completed" or self.comparisons is None:
            return self.batch.status
        return self.comparisons.status

    def __str__(self) -> str:
        return f"{self.batch}" + (f"; {self.comparisons}" if self.comparisons else "")


class PromotionReport(Frozen):
    """Decision of the gate on a comparison, and the endpoint that serves the winner, if any."""

    name: str
    decision: Decision
    endpoint: str | None
    comparisons: ComparisonReport
    spent: Spent | None = Field(None, description="Eval runs and smoke calls of this name, in all runs together")

    @property
    def status(self) -> Status:
        """Completed only when a model passed the gate and is live."""
        return "completed" if self.endpoint is not None else "incomplete"

    def __str__(self) -> str:
        return f"{self.name}: {self.decision.sentence}" + (f" It serves at {self.endpoint}." if self.endpoint else "")


class WatchReport(Frozen):
    """Change of the watched models since the first run of the watch, and the path of the plot of the series."""

    name: str
    occasion: str
    run_id: str
    drift: Drift
    since_last: Drift | None = None
    plot: str
    spent: Spent | None = None

    @property
    def status(self) -> Status:
        """Always completed: a drift is a result, not a failure of the watch."""
        return "completed"

    def __str__(self) -> str:
        since = f" Since the run before: {self.since_last}" if self.since_last else ""
        return f"{self.name}: {self.drift}{since}" + (f" {self.spent}" if self.spent and str(self.spent) else "")


Report = BatchReport | ComparisonReport | PipelineReport | PromotionReport
