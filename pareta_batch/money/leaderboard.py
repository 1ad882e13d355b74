"""What a task's leaderboard lists: which models there are, which is recommended, and what a request to each costs."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pareta_client import AsyncPareta, NotFoundError


@dataclass(frozen=True)
class LeaderboardPrices:
    """The models of a leaderboard, each with what a request costs (micro-USD; None is not told)."""

    costs: Mapping[str, float | None] = field(default_factory=dict)
    recommended: str | None = None

    def resolved(self, model: str) -> str:
        """Give the model's own name where the one that is recommended was asked for."""
        return self.recommended or model if model == "recommended" else model

    def cost(self, model: str) -> float | None:
        """Give what a request to a model costs, as far as it is listed."""
        return self.costs.get(self.resolved(model))


async def fetch_leaderboard(pareta: AsyncPareta, task: str | None) -> LeaderboardPrices:
    """Read the leaderboard of a task; nothing is listed for a task that has none."""
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
