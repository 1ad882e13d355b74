from .client import AsyncPareta, Pareta
from .core.finish import Finish, finish_of
from .core.rate_limits import RateLimitBudget, RateLimits
from .core.waiting import if_transient
from .errors import (
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
from .models.chat import ChatCompletion, ChatCompletionChunk, Choice, Message, Model, ModelList, Usage
from .models.endpoints import DeployEvent, Endpoint
from .models.evals import ContractProposal, EvalItemResult, EvalResult, EvalRun, EvalSet, FrontierModel, ProposalResult
from .models.record import Record
from .models.tasks import Capability, Leaderboard, LeaderboardEntry, Task, TaskMatch, TaskMatchCandidate
from .retry import Verdict, backoff, error_class, retry_after_of, verdict_of
from .settings import InsecureTransportWarning
from .transport.stream import AsyncStream, Stream

__version__: str

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
    "RateLimitBudget",
    "RateLimitError",
    "RateLimits",
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
    "error_class",
    "finish_of",
    "if_transient",
    "retry_after_of",
    "verdict_of",
]
