"""Table of end states: how an error or a stop reason ends a flow run and the command that started it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from flows.approval_errors import Declined
from pareta_batch import (
    ApprovalNeeded,
    BatchBusy,
    BatchUnknown,
    BudgetReached,
    CostUnbounded,
    DatasetError,
    EvalRunFailed,
    EventIncomplete,
    LedgerDiffers,
    LedgerError,
    ModelsUnknown,
    NotAllowed,
    Orphaned,
    OutputError,
    RunnerUnavailable,
    UnexpectedError,
    error_class_named,
)
from pareta_client import (
    APIConnectionError,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    DeployError,
    EndpointNotReadyError,
    EndpointWaitTimeoutError,
    EvalWaitTimeoutError,
    InsufficientCreditsError,
    MalformedReplyError,
    NotFoundError,
    OversizedReplyError,
    ParetaError,
    PermissionDeniedError,
    RateLimitError,
    ScoringUndecidedError,
    UploadError,
    Verdict,
    verdict_of,
)


class ExitStatus(IntEnum):
    """Exit statuses of `pareta-pipeline`."""

    DONE = 0
    FAILURES = 1
    BAD_INPUT = 2
    STOPPED = 3


class StopReason(StrEnum):
    """Reasons for an early end that are not an error class, or that differ from the error class of that name."""

    SERVICE_UNREACHABLE = "ServiceUnreachable"
    REQUEST_REFUSED = "RequestRefused"
    NO_RECEIPTS = "NoReceipts"
    LEDGER_LOST = "LedgerError"
    MEMBERS_LOST = "MembersLost"
    INTERRUPTED = "Interrupted"
    CANCELLED = "Cancelled"
    TOO_MANY_FAILURES = "TooManyFailures"
    COMPARISON_FAILED = "ComparisonFailed"
    GATE_NOT_PASSED = "GateNotPassed"
    GATE_NOT_REACHED = "GateNotReached"


Ending = type[Exception] | StopReason


@dataclass(frozen=True)
class EndState:
    """The Prefect state and the exit status of an end, and the next step for the user.

    `flow_retry`: whether the flow's own retries are made, because they can succeed without a change by the user.
    """

    state: str
    next_step: str
    flow_retry: bool
    exit_status: ExitStatus


_FAILURES, _BAD_INPUT, _STOPPED = ExitStatus.FAILURES, ExitStatus.BAD_INPUT, ExitStatus.STOPPED
_CHECK_NETWORK = "check PARETA_BASE_URL and the network, then run it again"
_CHECK_ENDPOINT = "check the endpoint, then run it again"
_NOT_PAID_AGAIN = "run it again: paid eval runs are not paid again"
_CHECK_DATABASE = "check the ledger's database, then run it again"

END_STATES: Mapping[Ending, EndState] = {
    InsufficientCreditsError: EndState("InsufficientCredits", "top up, then run it again", False, _STOPPED),
    BudgetReached: EndState("BudgetReached", "raise budget_usd, then run it again", False, _STOPPED),
    CostUnbounded: EndState(
        "CostUnbounded", "remove the models without a listed cost, or budget_usd, then run it again", False, _BAD_INPUT
    ),
    StopReason.NO_RECEIPTS: EndState("NoReceipts", "remove budget_usd, then run it again", False, _STOPPED),
    AuthenticationError: EndState(
        "AuthenticationFailed", "check PARETA_API_KEY or the credentials block, then run it again", False, _BAD_INPUT
    ),
    PermissionDeniedError: EndState("PermissionDenied", "give the key access, then run it again", False, _BAD_INPUT),
    NotFoundError: EndState("EndpointNotFound", "check the endpoint's id, then run it again", False, _BAD_INPUT),
    BadRequestError: EndState("BadRequest", "correct what the service refused, then run it again", False, _BAD_INPUT),
    DeployError: EndState("DeploymentFailed", "check the model and the task, then run it again", False, _BAD_INPUT),
    EndpointNotReadyError: EndState("EndpointNeverReady", _CHECK_ENDPOINT, True, _STOPPED),
    EndpointWaitTimeoutError: EndState("EndpointNeverReady", _CHECK_ENDPOINT, True, _STOPPED),
    EvalWaitTimeoutError: EndState("EvalNotFinished", "run it again: it waits for the same eval run", True, _STOPPED),
    RateLimitError: EndState("RateLimited", "run it again later, or with a lower max_in_flight", True, _STOPPED),
    APIConnectionError: EndState("ServiceUnreachable", _CHECK_NETWORK, True, _STOPPED),
    StopReason.SERVICE_UNREACHABLE: EndState("ServiceUnreachable", _CHECK_NETWORK, True, _BAD_INPUT),
    UnexpectedError: EndState("UnexpectedError", "read the log, then run it again", True, _STOPPED),
    MalformedReplyError: EndState("ServiceFailed", "run it again later", True, _STOPPED),
    OversizedReplyError: EndState("Stopped", "request a shorter reply, then run it again", True, _BAD_INPUT),
    ConflictError: EndState("ServiceFailed", "run it again later", True, _STOPPED),
    UploadError: EndState("UploadFailed", "run it again", False, _BAD_INPUT),
    ScoringUndecidedError: EndState(
        "ScoringUndecided", "name the task of the comparison, then run it again", False, _BAD_INPUT
    ),
    APIStatusError: EndState("ServiceFailed", "run it again later", True, _STOPPED),
    StopReason.REQUEST_REFUSED: EndState(
        "ServiceFailed", "check PARETA_BASE_URL and the proxy, then run it again", False, _BAD_INPUT
    ),
    ParetaError: EndState("NotConfigured", "correct the configuration, then run it again", False, _BAD_INPUT),
    DatasetError: EndState("BadDataset", "fix the dataset or the prompt, then run it again", False, _BAD_INPUT),
    OutputError: EndState("OutputNotWritable", "choose a writable output, then run it again", False, _BAD_INPUT),
    ModelsUnknown: EndState("ModelsUnknown", "choose models that exist, then run it again", False, _BAD_INPUT),
    EvalRunFailed: EndState("EvalRunFailed", "run it again: it starts a new eval run", True, _STOPPED),
    LedgerError: EndState("LedgerUnavailable", _CHECK_DATABASE, True, _BAD_INPUT),
    StopReason.LEDGER_LOST: EndState("LedgerUnavailable", _CHECK_DATABASE, True, _STOPPED),
    LedgerDiffers: EndState(
        "LedgerDiffers", "set one PARETA_LEDGER_URL for all workers, then run it again", False, _BAD_INPUT
    ),
    RunnerUnavailable: EndState(
        "RunnerUnavailable", "install the runner, or change runner, then run it again", False, _BAD_INPUT
    ),
    BatchUnknown: EndState(
        "BatchUnknown", "check the batch's name and PARETA_LEDGER_URL, then run it again", False, _BAD_INPUT
    ),
    NotAllowed: EndState("NotAllowed", "change the event, or the bounds of the deployment", False, _STOPPED),
    EventIncomplete: EndState("EventIncomplete", "correct the sender of the event", False, _STOPPED),
    ApprovalNeeded: EndState(
        "ApprovalNeeded", "pass --yes, run it as a deployment, or raise approve_above_usd", False, _BAD_INPUT
    ),
    Declined: EndState("Declined", "run it again to be asked again", False, _STOPPED),
    BatchBusy: EndState("BatchBusy", "wait until the other run ends, or cancel it", True, _STOPPED),
    Orphaned: EndState("Orphaned", "run the batch again", True, _STOPPED),
    StopReason.MEMBERS_LOST: EndState(
        "MembersLost", "check the processes of its members, then run it again", True, _STOPPED
    ),
    StopReason.INTERRUPTED: EndState("Interrupted", "run it again", False, _STOPPED),
    StopReason.CANCELLED: EndState("Stopped", "run it again", False, _STOPPED),
    StopReason.TOO_MANY_FAILURES: EndState("TooManyFailures", "read the errors in the answers file", True, _FAILURES),
    StopReason.COMPARISON_FAILED: EndState("ComparisonFailed", _NOT_PAID_AGAIN, True, _FAILURES),
    StopReason.GATE_NOT_PASSED: EndState(
        "GateNotPassed", "check the comparison, or change the policy", False, _FAILURES
    ),
    StopReason.GATE_NOT_REACHED: EndState("ComparisonFailed", _NOT_PAID_AGAIN, True, _STOPPED),
}

OTHER = EndState("Stopped", "run it again", True, _STOPPED)


def end_state(ending: BaseException | str) -> EndState:
    """Return the end state of an error, or of a stop reason or error class by its name; `OTHER` for unknown ones."""
    match ending:
        case APIConnectionError(unreachable=True):
            return END_STATES[StopReason.SERVICE_UNREACHABLE]
        case APIStatusError() if type(ending) is APIStatusError and _is_final(ending):
            return END_STATES[StopReason.REQUEST_REFUSED]
        case BaseException():
            return _end_state_of_class(type(ending))
        case _:
            return _end_state_by_name(ending)


def _is_final(error: ParetaError) -> bool:
    return verdict_of(error) in (Verdict.FATAL_TO_BATCH, Verdict.FATAL_TO_ITEM)


def _end_state_of_class(error: type[BaseException]) -> EndState:
    return next((END_STATES[each] for each in error.__mro__ if each in END_STATES), OTHER)


def _end_state_by_name(name: str) -> EndState:
    if (reason := next((each for each in StopReason if each == name), None)) is not None:
        return END_STATES[reason]
    error = error_class_named(name)
    return OTHER if error is None else _end_state_of_class(error)
