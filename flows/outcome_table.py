"""Why a run ended early: one table of the state that says it, what to do next, and whether running again can help."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """How an error (or a stop) ends a flow run.

    `retry_helps`: the flow's own retries may end better without anybody doing anything; else they are given up.
    """

    state: str
    next_step: str
    retry_helps: bool


REASONS: Mapping[str, Reason] = {
    "InsufficientCreditsError": Reason("InsufficientCredits", "top up, then run it again", False),
    "BudgetReached": Reason("BudgetReached", "raise budget_usd, then run it again", False),
    "CostUnbounded": Reason("CostUnbounded", "leave out what it names, or budget_usd, then run it again", False),
    "NoReceipts": Reason("NoReceipts", "leave budget_usd out, then run it again", False),
    "AuthenticationError": Reason(
        "AuthenticationFailed", "check PARETA_API_KEY or the credentials block, then run it again", False
    ),
    "PermissionDeniedError": Reason("PermissionDenied", "give the key access, then run it again", False),
    "NotFoundError": Reason("EndpointNotFound", "check the endpoint's id, then run it again", False),
    "BadRequestError": Reason("BadRequest", "mend what the service refused, then run it again", False),
    "DeployError": Reason("DeploymentFailed", "look at the model and the task, then run it again", False),
    "EndpointNotReadyError": Reason("EndpointNeverReady", "look at the endpoint, then run it again", True),
    "EndpointWaitTimeoutError": Reason("EndpointNeverReady", "look at the endpoint, then run it again", True),
    "EvalWaitTimeoutError": Reason("EvalNotFinished", "run it again: it waits for the same eval run", True),
    "RateLimitError": Reason("RateLimited", "run it later, or with a lower max_in_flight", True),
    "APIConnectionError": Reason(
        "ServiceUnreachable", "check PARETA_BASE_URL and the network, then run it again", True
    ),
    "APITimeoutError": Reason("ServiceUnreachable", "check PARETA_BASE_URL and the network, then run it again", True),
    "ServiceUnreachable": Reason(
        "ServiceUnreachable", "check PARETA_BASE_URL and the network, then run it again", True
    ),
    "UnexpectedError": Reason("UnexpectedError", "look at the log, then run it again", True),
    "MalformedReplyError": Reason("ServiceFailed", "run it later", True),
    "ConflictError": Reason("ServiceFailed", "run it later", True),
    "UploadError": Reason("UploadFailed", "run it again", False),
    "ScoringUndecidedError": Reason("ScoringUndecided", "name the task of the comparison, then run it again", False),
    "APIStatusError": Reason("ServiceFailed", "run it later", True),
    "ParetaError": Reason("NotConfigured", "mend what it says, then run it again", False),
    "DatasetError": Reason("BadDataset", "mend the dataset or the prompt, then run it again", False),
    "OutputError": Reason("OutputNotWritable", "choose an output that can be written, then run it again", False),
    "ModelsUnknown": Reason("ModelsUnknown", "choose models that exist, then run it again", False),
    "EvalRunFailed": Reason("EvalRunFailed", "run it again: it starts a new eval run", True),
    "LedgerError": Reason("LedgerUnavailable", "see to the ledger's database, then run it again", True),
    "BatchUnknown": Reason("BatchUnknown", "check the batch's name and PARETA_LEDGER_URL, then run it again", False),
    "NotAllowed": Reason("NotAllowed", "change the event, or the bounds of the deployment", False),
    "BatchBusy": Reason("BatchBusy", "wait until the other run ends, or cancel it", True),
    "Interrupted": Reason("Interrupted", "run it again", False),
    "Cancelled": Reason("Stopped", "run it again", False),
    "TooManyFailures": Reason("TooManyFailures", "look at the errors in the answers file", True),
    "ComparisonFailed": Reason("ComparisonFailed", "run it again: what was paid for is not paid again", True),
    "GateNotPassed": Reason("GateNotPassed", "look at the comparison, or change the policy", False),
}

OTHER = Reason("Stopped", "run it again", True)


def reason_for(error: str) -> Reason:
    """Give what is known of an error by its class name, or of a stop by its reason."""
    return REASONS.get(error, OTHER)
