"""What the service answers, as typed records that keep the service's own JSON."""

from pareta_client.models.chat import ChatCompletion, ChatCompletionChunk, Choice, Message, Model, ModelList, Usage
from pareta_client.models.endpoints import DeployEvent, Endpoint
from pareta_client.models.evals import (
    ContractProposal,
    EvalItemResult,
    EvalResult,
    EvalRun,
    EvalSet,
    FrontierModel,
    ProposalResult,
)
from pareta_client.models.record import Record
from pareta_client.models.tasks import (
    Capability,
    Leaderboard,
    LeaderboardEntry,
    Task,
    TaskMatch,
    TaskMatchCandidate,
)

__all__ = [
    "Capability",
    "ChatCompletion",
    "ChatCompletionChunk",
    "Choice",
    "ContractProposal",
    "DeployEvent",
    "Endpoint",
    "EvalItemResult",
    "EvalResult",
    "EvalRun",
    "EvalSet",
    "FrontierModel",
    "Leaderboard",
    "LeaderboardEntry",
    "Message",
    "Model",
    "ModelList",
    "ProposalResult",
    "Record",
    "Task",
    "TaskMatch",
    "TaskMatchCandidate",
    "Usage",
]
