"""Why a run ended early: one table of the state that says it, what to do next, and whether running again can help."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class EndState:
    """How an error (or a stop) ends a flow run.

    `retry_helps`: the flow's own retries may end better without anybody doing anything; else they are given up.
    """

    state: str
    next_step: str
    retry_helps: bool


REASONS: Mapping[str, EndState] = {
    "InsufficientCreditsError": EndState("InsufficientCredits", "top up, then run it again", False),
    "BudgetReached": EndState("BudgetReached", "raise budget_usd, then run it again", False),
    "CostUnbounded": EndState("CostUnbounded", "leave out what it names, or budget_usd, then run it again", False),
    "NoReceipts": EndState("NoReceipts", "leave budget_usd out, then run it again", False),
    "AuthenticationError": EndState(
        "AuthenticationFailed", "check PARETA_API_KEY or the credentials block, then run it again", False
    ),
    "PermissionDeniedError": EndState("PermissionDenied", "give the key access, then run it again", False),
    "NotFoundError": EndState("EndpointNotFound", "check the endpoint's id, then run it again", False),
    "BadRequestError": EndState("BadRequest", "mend what the service refused, then run it again", False),
    "DeployError": EndState("DeploymentFailed", "look at the model and the task, then run it again", False),
    "EndpointNotReadyError": EndState("EndpointNeverReady", "look at the endpoint, then run it again", True),
    "EndpointWaitTimeoutError": EndState("EndpointNeverReady", "look at the endpoint, then run it again", True),
    "EvalWaitTimeoutError": EndState("EvalNotFinished", "run it again: it waits for the same eval run", True),
    "RateLimitError": EndState("RateLimited", "run it later, or with a lower max_in_flight", True),
    "APIConnectionError": EndState(
        "ServiceUnreachable", "check PARETA_BASE_URL and the network, then run it again", True
    ),
    "APITimeoutError": EndState("ServiceUnreachable", "check PARETA_BASE_URL and the network, then run it again", True),
    "ServiceUnreachable": EndState(
        "ServiceUnreachable", "check PARETA_BASE_URL and the network, then run it again", True
    ),
    "UnexpectedError": EndState("UnexpectedError", "look at the log, then run it again", True),
    "MalformedReplyError": EndState("ServiceFailed", "run it later", True),
    "ConflictError": EndState("ServiceFailed", "run it later", True),
    "UploadError": EndState("UploadFailed", "run it again", False),
    "ScoringUndecidedError": EndState("ScoringUndecided", "name the task of the comparison, then run it again", False),
    "APIStatusError": EndState("ServiceFailed", "run it later", True),
    "ParetaError": EndState("NotConfigured", "mend what it says, then run it again", False),
    "DatasetError": EndState("BadDataset", "mend the dataset or the prompt, then run it again", False),
    "OutputError": EndState("OutputNotWritable", "choose an output that can be written, then run it again", False),
    "ModelsUnknown": EndState("ModelsUnknown", "choose models that exist, then run it again", False),
    "EvalRunFailed": EndState("EvalRunFailed", "run it again: it starts a new eval run", True),
    "LedgerError": EndState("LedgerUnavailable", "see to the ledger's database, then run it again", True),
    "BatchUnknown": EndState("BatchUnknown", "check the batch's name and PARETA_LEDGER_URL, then run it again", False),
    "NotAllowed": EndState("NotAllowed", "change the event, or the bounds of the deployment", False),
    "BatchBusy": EndState("BatchBusy", "wait until the other run ends, or cancel it", True),
    "Interrupted": EndState("Interrupted", "run it again", False),
    "Cancelled": EndState("Stopped", "run it again", False),
    "TooManyFailures": EndState("TooManyFailures", "look at the errors in the answers file", True),
    "ComparisonFailed": EndState("ComparisonFailed", "run it again: what was paid for is not paid again", True),
    "GateNotPassed": EndState("GateNotPassed", "look at the comparison, or change the policy", False),
}

OTHER = EndState("Stopped", "run it again", True)


def end_reason(error: str) -> EndState:
    """Give what is known of an error by its class name, or of a stop by its reason."""
    return REASONS.get(error, OTHER)
