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
    from pareta_client.core.finish import Finish, finish_of
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
        OversizedReplyError,
        ParetaError,
        PermissionDeniedError,
        RateLimitError,
        ScoringUndecidedError,
        UploadError,
        WaitTimeoutError,
    )
    from pareta_client.models.chat import (
        ChatCompletion,
        ChatCompletionChunk,
        Choice,
        Message,
        Model,
        ModelList,
        Usage,
    )
    from pareta_client.models.endpoints import (
        DeployEvent,
        Endpoint,
    )
    from pareta_client.models.evals import (
        ContractProposal,
        EvalItemResult,
        EvalResult,
        EvalRun,
        EvalSet,
        FrontierModel,
        ProposalResult,
    )
    from pareta_client.models.record import (
        Record,
    )
    from pareta_client.models.tasks import (
        Capability,
        Leaderboard,
        LeaderboardEntry,
        Task,
        TaskMatch,
        TaskMatchCandidate,
    )
    from pareta_client.retry import Verdict, backoff, verdict_of
    from pareta_client.settings import InsecureTransportWarning
    from pareta_client.transport.stream import AsyncStream, Stream

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
    "Finish",
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
    "OversizedReplyError",
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
    "finish_of",
    "verdict_of",
]

_HOMES = {
    "client": ("AsyncPareta", "Pareta"),
    "finish": ("Finish", "finish_of"),
    "models.chat": ("ChatCompletion", "ChatCompletionChunk", "Choice", "Message", "Model", "ModelList", "Usage"),
    "models.endpoints": ("DeployEvent", "Endpoint"),
    "models.record": ("Record",),
    "models.tasks": ("Capability", "Leaderboard", "LeaderboardEntry", "Task", "TaskMatch", "TaskMatchCandidate"),
    "retry": ("Verdict", "backoff", "verdict_of"),
    "settings": ("InsecureTransportWarning",),
    "stream_faces": ("AsyncStream", "Stream"),
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    listed = (home for home, names in _HOMES.items() if name in names)
    home = next(listed, "errors" if name.endswith("Error") else "models.evals")
    found: object = getattr(import_module(f"{__name__}.{home}"), name)
    return globals().setdefault(name, found)


def __dir__() -> list[str]:
    return __all__
