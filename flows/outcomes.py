"""Final states of the flows: Completed only when all work is done."""

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from flows.closing import closing_of
from flows.collisions import is_unattended, skip_reason_of_busy, skip_reason_of_schedule
from flows.outcome_table import StopReason, end_state
from flows.signals import hangup_terminates
from pareta_batch import BatchBusy, BatchError, BatchReport, Quote, name_run, use_json_logs
from pareta_client import InsufficientCreditsError, ParetaError
from tasks import completed_state, current_flow_run, failed_state, is_state, run_logger, use_credentials

if TYPE_CHECKING:
    from prefect import State

    # The models of reports take a tenth of the start of a run, which needs them at its end.
    from flows.reports import ComparisonReport, PipelineReport, PromotionReport, Report

# At import: every flow imports this module before Prefect's engine runs it.
use_json_logs()

MARK = "_outlives_its_slot"
"""Attribute of a flow's function whose runs continue if the slot of their deployment cannot be renewed."""

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
AnyReport = TypeVar("AnyReport", "BatchReport", "ComparisonReport", "PipelineReport", "PromotionReport")


on_run: ContextVar[Callable[[str], None] | None] = ContextVar("on_run", default=None)
"""Callback for the link to the flow run in the Prefect UI; set it before the flow is called in this process."""


remark: ContextVar[str] = ContextVar("remark", default="")
"""Remark of this run, added to the message of its last state: its approval."""


class IncompleteRun(Exception):
    """A run that ended before all work was done; `report` holds the results and the number of missing rows."""

    def __init__(self, report: "Report", message: str) -> None:
        self.report = report
        self.message = message
        super().__init__(report, message)

    def __str__(self) -> str:
        return self.message


def finish(report: AnyReport) -> AnyReport:
    """Return the report of a flow if all work is done.

    Raises:
        IncompleteRun: The work is not done; the error carries the report.
    """
    if report.status == "completed":
        return report
    raise IncompleteRun(report, message_of(report))


def end_as_quote(quote: Quote) -> BatchReport:
    """Return a dry run's quote in a state named Quoted, so that no automation treats the batch as completed.

    Prefect unwraps the state: the caller that awaits the flow receives the quote.
    """
    return cast(BatchReport, completed_state(quote, name="Quoted", message=str(quote)))


async def report_of(state: "State[AnyReport]") -> AnyReport:
    """Return the report of a flow run that has ended, complete or not.

    Raises the error of a flow that ended without a report.
    """
    try:
        return await state.aresult()
    except IncompleteRun as unfinished:
        return cast(AnyReport, unfinished.report)


def named_outcome(run: Callable[Parameters, Awaitable[Result]]) -> Callable[Parameters, Coroutine[Any, Any, Result]]:
    """Wrap a flow so that it ends in a Failed state named for the reason, and cancel retries that cannot succeed.

    Prefect unwraps the state: the caller that awaits the flow receives its result, or the error is raised.
    """

    @wraps(run)
    async def run_to_outcome(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        _announce_run()
        flow_run = current_flow_run()
        if flow_run is not None:
            name_run(flow_run_id=str(flow_run.id))
        if reason := await skip_reason_of_schedule(flow_run):
            return cast(Result, _skipped(reason))
        token = remark.set("")
        try:
            with hangup_terminates(), use_credentials(_credentials_in((*args, *kwargs.values()))):
                return cast(Result, _completed(await run(*args, **kwargs)))
        except (IncompleteRun, ParetaError, BatchError) as error:
            if isinstance(error, BatchBusy) and flow_run is not None and is_unattended(flow_run):
                await _cancel_retries()
                return cast(Result, _skipped(await skip_reason_of_busy(error, flow_run)))
            outcome = end_state(_cause_of(error))
            if outcome.flow_retry and _retries_left():
                raise
            await _cancel_retries()
            # A returned state, not an exception: the UI shows its name, and automations match it.
            return cast(Result, failed_state(error, name=outcome.state, message=with_remark(explained(error))))
        finally:
            remark.reset(token)

    setattr(run_to_outcome, MARK, True)
    return run_to_outcome


def with_remark(message: str | None) -> str | None:
    """Return the message of a last state with the remark of the run."""
    return "; ".join(filter(None, (message, remark.get()))) or None


def _credentials_in(parameters: Iterable[object]) -> str | None:
    """Return the credentials that the spec of a flow names, or None."""
    return next((name for each in parameters if (name := getattr(each, "credentials", None))), None)


def _completed(result: object) -> object:
    """Return the Completed state with its closing sentence; a state is returned unchanged."""
    run = current_flow_run()
    if is_state(result) or (run is not None and run.run_count > 1):
        # After a retry in one process Prefect raises the first error again if the flow returns a state.
        return result
    return completed_state(result, message=with_remark(closing_of(result)))


def _skipped(reason: str) -> "State[None]":
    """Return the end of a run without work of its own: neither a success nor a failure for automations."""
    run_logger().info("%s", reason)
    return completed_state(name="Skipped", message=reason)


def out_of_credit(error: Exception) -> bool:
    """Check whether missing credit ended a run."""
    cause = _cause_of(error)
    return isinstance(cause, InsufficientCreditsError) or cause == InsufficientCreditsError.__name__


def _cause_of(error: Exception) -> Exception | str:
    return end_reason(error.report) if isinstance(error, IncompleteRun) else error


def explained(error: Exception) -> str:
    """Return the error's class, its message, the id of the failed request and the next step."""
    if isinstance(error, IncompleteRun):
        return error.message
    request = getattr(error, "request_id", None)
    request_part = f" (request {request})" if request else ""
    return f"{type(error).__name__}: {error}{request_part}; {end_state(error).next_step}"


def sentence_of(report: "Report") -> str:
    """Return the message of the state in which a run with this report ends."""
    return closing_of(report) or str(report) if report.status == "completed" else message_of(report)


NO_CREDIT = "no credit: "
"""First words of the message of a run that is suspended for lack of credit; an automation matches them."""


def suspension_message(error: Exception) -> str:
    """Return the rows and dollars of a run without credit, and the next step in the UI."""
    if not isinstance(error, IncompleteRun):
        return f"{NO_CREDIT}{type(error).__name__}: {error}; top up, then Resume"
    batch = _batch_of(error.report)
    rows = f": only the {batch.pending} missing rows are sent" if batch else ""
    return f"{NO_CREDIT}{error.report}; top up, then Resume{rows}"


def message_of(report: "Report") -> str:
    """Return the progress of an incomplete run, the reason for its end, and the next step."""
    reason = end_reason(report)
    batch = _batch_of(report)
    step = end_state(reason).next_step
    if batch is not None and batch.stopped is not None:
        missing = f"only the {batch.pending} missing rows are sent"
        return f"{report}; stopped by {reason}: {batch.stopped_message}; {step}: {missing}"
    if batch is not None and reason == StopReason.TOO_MANY_FAILURES:
        return f"{report}; tolerated share of failures: {batch.tolerated_failures}; {step}"
    return f"{report}; {step}"


def end_reason(report: "Report") -> str:
    """Return why an incomplete run ended: the name of an error class or a `StopReason`."""
    from flows.reports import ComparisonReport, PromotionReport

    batch = _batch_of(report)
    if batch is not None and batch.status != "completed":
        return batch.stopped or StopReason.TOO_MANY_FAILURES
    if isinstance(report, PromotionReport):
        if report.comparisons.status == "completed":
            return StopReason.GATE_NOT_PASSED
        return report.comparisons.stopped or StopReason.GATE_NOT_REACHED
    comparisons = report if isinstance(report, ComparisonReport) else getattr(report, "comparisons", None)
    return (comparisons.stopped if comparisons else None) or StopReason.COMPARISON_FAILED


def _batch_of(report: "Report") -> BatchReport | None:
    from flows.reports import PipelineReport

    match report:
        case BatchReport():
            return report
        case PipelineReport(batch=batch):
            return batch
        case _:
            return None


def _retries_left() -> bool:
    run = current_flow_run()
    return run is not None and run.run_count <= (run.empirical_policy.retries or 0)


async def _cancel_retries() -> None:
    # A state returned while retries are left ends the process, and the run waits for a retry that never starts.
    run = current_flow_run()
    if run is not None and run.empirical_policy.retries:
        from prefect import get_client

        policy = run.empirical_policy.model_copy(update={"retries": 0})
        async with get_client() as client:
            await client.update_flow_run(run.id, empirical_policy=policy)


def _announce_run() -> None:
    """Pass the link to this run to `on_run`, unless it is a subflow."""
    run, announce = current_flow_run(), on_run.get()
    if run is None or run.parent_task_run_id is not None or announce is None:
        return
    from prefect.utilities.urls import url_for

    if url := url_for(run):
        announce(url)
