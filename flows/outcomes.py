"""How a flow ends: what it reports, and an honest state: Completed only when all of it is done."""

from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, Literal, ParamSpec, TypeVar, cast

from prefect import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.context import FlowRunContext
from prefect.states import Completed, Failed
from pydantic import BaseModel, ConfigDict

from flows.deployment_slot import ignore_lost_deployment_slot
from flows.outcome_table import end_reason
from flows.signals import hangup_terminates
from flows.spent import Spent
from pareta_batch import BatchError, BatchReport, BudgetReached, Quote
from pareta_client import ParetaError
from pareta_report import Comparison, Decision, Drift, MeasuredQuality

Status = Literal["completed", "incomplete", "stopped"]


class ComparisonReport(BaseModel):
    """What came of the comparisons of one run, each decided or failed, and where the HTML report is."""

    model_config = ConfigDict(frozen=True)

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
        """`BudgetReached` when that is why a comparison was not bought."""
        # A comparison's error begins with its class.
        reached = any((each.error or "").startswith(f"{BudgetReached.__name__}: ") for each in self.comparisons)
        return BudgetReached.__name__ if reached else None

    def __str__(self) -> str:
        told = [f"{each.name}: {each.error or each.verdict.sentence}" for each in self.comparisons]
        return "; ".join([*told, *filter(None, [str(self.spent or "")])])


class PipelineReport(BaseModel):
    """What came of a pipeline: its batch, its comparisons, and where the HTML report is."""

    model_config = ConfigDict(frozen=True)

    name: str
    batch: BatchReport
    quality: MeasuredQuality | None
    comparisons: ComparisonReport | None
    report: str

    @property
    def status(self) -> Status:
        """The batch's status, and never better than that of the comparisons."""
        if self.batch.status != "completed" or self.comparisons is None:
            return self.batch.status
        return self.comparisons.status

    def __str__(self) -> str:
        return f"{self.batch}" + (f"; {self.comparisons}" if self.comparisons else "")


class PromotionReport(BaseModel):
    """What the gate decided on a comparison, and the endpoint that serves the winner, if there is one."""

    model_config = ConfigDict(frozen=True)

    name: str
    decision: Decision
    endpoint: str | None
    comparisons: ComparisonReport

    @property
    def status(self) -> Status:
        """Completed only when a model passed and serves."""
        return "completed" if self.endpoint is not None else "incomplete"

    def __str__(self) -> str:
        return f"{self.name}: {self.decision.sentence}" + (f" It serves at {self.endpoint}." if self.endpoint else "")


class WatchReport(BaseModel):
    """How the watched models did against the run that the watch began with, and where the plot of the series is."""

    model_config = ConfigDict(frozen=True)

    name: str
    occasion: str
    run_id: str
    drift: Drift
    since_last: Drift | None = None
    plot: str
    spent: Spent | None = None

    @property
    def status(self) -> Status:
        """A drift is news, no failure: the watch itself is completed."""
        return "completed"

    def __str__(self) -> str:
        since = f" Since the run before: {self.since_last}" if self.since_last else ""
        return f"{self.name}: {self.drift}{since}" + (f" {self.spent}" if self.spent and str(self.spent) else "")


# Here, because every flow imports this before Prefect's engine runs it.
ignore_lost_deployment_slot()

Report = BatchReport | ComparisonReport | PipelineReport | PromotionReport
Given = ParamSpec("Given")
Result = TypeVar("Result")
AnyReport = TypeVar("AnyReport", BatchReport, ComparisonReport, PipelineReport, PromotionReport)


class IncompleteRun(Exception):
    """A run that ended before all of it was done; `report` says what is there and what is missing."""

    def __init__(self, report: Report, message: str) -> None:
        self.report = report
        self.message = message
        super().__init__(report, message)

    def __str__(self) -> str:
        return self.message


def end(report: AnyReport) -> AnyReport:
    """Give what a flow returns when all of it is done: its report.

    Raises Unfinished, which carries the report, else.
    """
    if report.status == "completed":
        return report
    raise IncompleteRun(report, message_of(report))


def end_as_quote(quote: Quote) -> BatchReport:
    """End a dry run with its quote, in a state that no automation takes for a batch that is done.

    Prefect unwraps the state: who awaits the flow gets the quote.
    """
    return cast(BatchReport, Completed(name="Quoted", message=str(quote), data=quote))


async def report_of(state: State[AnyReport]) -> AnyReport:
    """Give the report of a flow run that has ended, finished or not.

    Raises what the flow raised when it ended without a report.
    """
    try:
        return await state.aresult()
    except IncompleteRun as unfinished:
        return cast(AnyReport, unfinished.report)


def named_outcome(run: Callable[Given, Awaitable[Result]]) -> Callable[Given, Coroutine[Any, Any, Result]]:
    """Let a flow end in a Failed state that is named for the reason, and give up retries that cannot help.

    Prefect unwraps the state: who awaits the flow gets what it returned, or the error is raised.
    """

    @wraps(run)
    async def ending(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        try:
            with hangup_terminates():
                return await run(*args, **kwargs)
        except (IncompleteRun, ParetaError, BatchError) as error:
            reason = end_reason(error_of(error))
            if reason.retry_helps and _retries_left():
                raise
            await _give_up_retries()
            # A state that is returned, not an exception: its name is what the UI and the automations show and match.
            return cast(Result, Failed(name=reason.state, message=explained(error), data=error))

    return ending


def error_of(error: Exception) -> str:
    """Name what ended a run: an error's class, or what kept a report from being complete."""
    return _shortfall(error.report) if isinstance(error, IncompleteRun) else type(error).__name__


def explained(error: Exception) -> str:
    """Say what happened, with the request to ask the service about, and what to do next."""
    if isinstance(error, IncompleteRun):
        return error.message
    request = getattr(error, "request_id", None)
    asked = f" (request {request})" if request else ""
    return f"{type(error).__name__}: {error}{asked}; {end_reason(type(error).__name__).next_step}"


def message_of(report: Report) -> str:
    """Say how far an unfinished run came, why it ended, and what to do next."""
    error = _shortfall(report)
    batch = _batch_of(report)
    step = end_reason(error).next_step
    if batch is not None and batch.stopped is not None:
        rest = f"only the {batch.pending} missing rows are sent"
        return f"{report}; stopped by {error}: {batch.stopped_message}; {step}: {rest}"
    if batch is not None and error == "TooManyFailures":
        return f"{report}; tolerated share of failures: {batch.tolerated_failures}; {step}"
    return f"{report}; {step}"


def _shortfall(report: Report) -> str:
    batch = _batch_of(report)
    if batch is not None and batch.status != "completed":
        return batch.stopped or "TooManyFailures"
    if isinstance(report, PromotionReport) and report.comparisons.status == "completed":
        return "GateNotPassed"
    compared = report if isinstance(report, ComparisonReport) else getattr(report, "comparisons", None)
    return (compared.stopped if compared else None) or "ComparisonFailed"


def stopped_for_budget(report: Report) -> bool:
    """Check whether a budget kept a comparison from being bought."""
    return _shortfall(report) == BudgetReached.__name__ if report.status != "completed" else False


def _batch_of(report: Report) -> BatchReport | None:
    match report:
        case BatchReport():
            return report
        case PipelineReport(batch=batch):
            return batch
        case _:
            return None


def _retries_left() -> bool:
    run = flow_run_here()
    return run is not None and run.run_count <= (run.empirical_policy.retries or 0)


async def _give_up_retries() -> None:
    # A state that is returned while retries are left ends the process and leaves the run waiting for one.
    run = flow_run_here()
    if run is not None and run.empirical_policy.retries:
        policy = run.empirical_policy.model_copy(update={"retries": 0})
        async with get_client() as client:
            await client.update_flow_run(run.id, empirical_policy=policy)


def flow_run_here() -> FlowRun | None:
    """Give the flow run that this code is part of."""
    context = FlowRunContext.get()
    return context.flow_run if context else None
