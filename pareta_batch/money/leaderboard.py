"""The leaderboard of a task: its models, their cost per request, and the recommended model."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pareta_client import AsyncPareta, NotFoundError


@dataclass(frozen=True)
class LeaderboardPrices:
    """The models of a leaderboard with their cost per request (micro-USD; None if not listed)."""

    costs: Mapping[str, float | None] = field(default_factory=dict)
    recommended: str | None = None

    def resolved(self, model: str) -> str:
        """Return the name of the recommended model for `recommended`; another name is returned unchanged."""
        return self.recommended or model if model == "recommended" else model

    def cost(self, model: str) -> float | None:
        """Return the listed cost of a request to a model; None if it is not listed."""
        return self.costs.get(self.resolved(model))


async def fetch_leaderboard(pareta: AsyncPareta, task: str | None) -> LeaderboardPrices:
    """Fetch the leaderboard of a task; the result is empty for a task without one."""
    if task is None:
        return LeaderboardPrices()
    try:
        board = await pareta.tasks.leaderboard(task)
    except NotFoundError:
        return LeaderboardPrices()
    entries = [*board.models, *([board.frontier] if board.frontier else [])]
    return LeaderboardPrices(
        {entry.name: entry.cost_per_request_micro_usd for entry in entries if entry.name}, board.recommended
    )
