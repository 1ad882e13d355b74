"""A client of the Pareta service: `Pareta` and `AsyncPareta`, on httpx and pydantic.

async with AsyncPareta.from_env() as pareta:
    answer = await pareta.chat.completions.create(model="ep_…", messages=[{"role": "user", "content": "…"}])
    print(answer.choices[0].message.content)
"""

from importlib import import_module
from typing import TYPE_CHECKING

# Names are loaded when first asked for: a program that only wants to catch an error, or to print its help, does not
# wait for httpx and pydantic.
if TYPE_CHECKING:
    from pareta_client.client import AsyncPareta, Pareta
    from pareta_client.errors import (
        APIConnectionError,
        APIStatusError,
        APITimeoutError,
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
        ParetaError,
        PermissionDeniedError,
        RateLimitError,
        ScoringUndecidedError,
        UploadError,
        WaitTimeoutError,
    )
    from pareta_client.models import (
        Capability,
        ChatCompletion,
        ChatCompletionChunk,
        Choice,
        ContractProposal,
        DeployEvent,
        Endpoint,
        EvalItemResult,
        EvalResult,
        EvalRun,
        EvalSet,
        FrontierModel,
        Leaderboard,
        LeaderboardEntry,
        Message,
        Model,
        ModelList,
        ProposalResult,
        Record,
        Task,
        TaskMatch,
        TaskMatchCandidate,
        Usage,
    )
    from pareta_client.retry import Verdict, backoff, verdict_of
    from pareta_client.settings import InsecureTransportWarning
    from pareta_client.stream_faces import AsyncStream, Stream

__all__ = [
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "AsyncPareta",
    "AsyncStream",
    "AuthenticationError",
    "BadRequestError",
    "Capability",
    "ChatCompletion",
    "ChatCompletionChunk",
    "Choice",
    "ConflictError",
    "ContractProposal",
    "DeployError",
    "DeployEvent",
    "Endpoint",
    "EndpointNotReadyError",
    "EndpointWaitTimeoutError",
    "EvalItemResult",
    "EvalResult",
    "EvalRun",
    "EvalSet",
    "EvalWaitTimeoutError",
    "FrontierModel",
    "InsecureTransportWarning",
    "InsufficientCreditsError",
    "Leaderboard",
    "LeaderboardEntry",
    "MalformedReplyError",
    "Message",
    "Model",
    "ModelList",
    "NotFoundError",
    "Pareta",
    "ParetaError",
    "PermissionDeniedError",
    "ProposalResult",
    "RateLimitError",
    "Record",
    "ScoringUndecidedError",
    "Stream",
    "Task",
    "TaskMatch",
    "TaskMatchCandidate",
    "UploadError",
    "Usage",
    "Verdict",
    "WaitTimeoutError",
    "backoff",
    "verdict_of",
]

_HOMES = {
    "Pareta": "client",
    "AsyncPareta": "client",
    "Verdict": "retry",
    "backoff": "retry",
    "verdict_of": "retry",
    "InsecureTransportWarning": "settings",
    "Stream": "stream_faces",
    "AsyncStream": "stream_faces",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES.get(name) or ("errors" if name.endswith("Error") else "models")
    found: object = getattr(import_module(f"{__name__}.{home}"), name)
    return globals().setdefault(name, found)


def __dir__() -> list[str]:
    return __all__
