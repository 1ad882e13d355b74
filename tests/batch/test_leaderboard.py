"""What is listed of models: the recommended one by its own name, and no cost where none is told."""

from pareta_batch.money.leaderboard import LeaderboardPrices, fetch_leaderboard
from pareta_client import AsyncPareta
from pareta_sandbox.testing import Sandbox

BOARD = LeaderboardPrices({"wren-1": 8.0, "heron-2": 70.0, "owl-1": None}, recommended="heron-2")


def test_what_is_recommended_costs_what_the_model_behind_it_does() -> None:
    assert (BOARD.resolved("recommended"), BOARD.cost("recommended"), BOARD.cost("wren-1")) == ("heron-2", 70.0, 8.0)


def test_a_cost_that_is_not_told_is_not_known_rather_than_nothing() -> None:
    assert (BOARD.cost("owl-1"), BOARD.cost("wren-9"), LeaderboardPrices().cost("recommended")) == (None, None, None)


async def test_a_task_without_a_leaderboard_lists_nothing(sandbox: Sandbox) -> None:
    async with AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url) as pareta:
        assert (
            await fetch_leaderboard(pareta, "no-such-task")
            == await fetch_leaderboard(pareta, None)
            == LeaderboardPrices()
        )
