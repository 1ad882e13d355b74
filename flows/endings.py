"""How a flow ends: what it reports, and an honest state: Completed only when all of it is done."""

from typing import Literal, TypeVar, cast

from prefect.client.schemas.objects import State
from prefect.states import Failed
from pydantic import BaseModel, ConfigDict

from pareta_batch.report import BatchReport
from pareta_report import Comparison, Decision, MeasuredQuality

Status = Literal["completed", "incomplete", "stopped"]


class ComparisonReport(BaseModel):
    """What came of the comparisons of one run, each decided or failed, and where the HTML report is."""

    model_config = ConfigDict(frozen=True)

    name: str
    comparisons: tuple[Comparison, ...]
    report: str

    @property
    def status(self) -> Status:
        """Completed only when every comparison is."""
        return "completed" if all(each.status == "completed" for each in self.comparisons) else "incomplete"

    def __str__(self) -> str:
        return "; ".join(f"{each.name}: {each.error or each.verdict.sentence}" for each in self.comparisons)


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


Report = BatchReport | ComparisonReport | PipelineReport | PromotionReport
AnyReport = TypeVar("AnyReport", BatchReport, ComparisonReport, PipelineReport, PromotionReport)


class Unfinished(Exception):
    """A run that ended before all of it was done; `report` says what is there and what is missing."""

    def __init__(self, report: Report, message: str) -> None:
        self.report = report
        self.message = message
        super().__init__(report, message)

    def __str__(self) -> str:
        return self.message


_STATE_NAMES = {
    "InsufficientCreditsError": "InsufficientCredits",
    "AuthenticationError": "AuthenticationFailed",
    "PermissionDeniedError": "PermissionDenied",
    "NotFoundError": "EndpointNotFound",
    "EndpointWaitTimeoutError": "EndpointNeverReady",
}

_NEXT_STEPS = {
    "InsufficientCreditsError": "top up, then run it again",
    "AuthenticationError": "check PARETA_API_KEY or the credentials block, then run it again",
    "PermissionDeniedError": "give the key access, then run it again",
    "NotFoundError": "check the endpoint's id, then run it again",
    "EndpointWaitTimeoutError": "look at the endpoint, then run it again",
}


def end(report: AnyReport) -> AnyReport:
    """Give what a flow returns: its report, or a Failed state that is named for the reason and carries the report.

    Prefect unwraps the state: who awaits the flow gets the report, or Unfinished is raised.
    """
    if report.status == "completed":
        return report
    name, message = _reason(report)
    # A state that is returned, not an exception: its name is what the UI and the automations show and match.
    return cast(AnyReport, Failed(name=name, message=message, data=Unfinished(report, message)))


async def report_of(state: State[AnyReport]) -> AnyReport:
    """Give the report of a flow run that has ended, finished or not.

    Raises what the flow raised when it ended without a report.
    """
    try:
        return await state.aresult()
    except Unfinished as unfinished:
        return cast(AnyReport, unfinished.report)


def _reason(report: Report) -> tuple[str, str]:
    match report:
        case BatchReport(stopped=str(error)):
            rest = f"; {_NEXT_STEPS.get(error, 'run it again')}: only the {report.pending} missing rows are sent"
            return _STATE_NAMES.get(error, "Stopped"), f"{report}; stopped by {error}: {report.stopped_message}{rest}"
        case BatchReport():
            return "TooManyFailures", f"{report}; tolerated share of failures: {report.tolerated_failures}"
        case PipelineReport(batch=batch) if batch.status != "completed":
            return _reason(batch)
        case PromotionReport():
            return "GateNotPassed", str(report)
        case PipelineReport(comparisons=ComparisonReport() as comparisons):
            return _reason(comparisons)
        case _:
            return "ComparisonFailed", str(report)
