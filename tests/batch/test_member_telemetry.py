"""OpenTelemetry of a run with members: the parent has the money of all of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pareta_batch.ledger.ledger import Ledger
from pareta_sandbox.testing import Sandbox
from tests.batch.batches import batch_in
from tests.batch.exporters import Seen, seen
from tests.batch.test_members import run_members

__all__ = ["seen"]


@pytest.fixture
def ledger(postgres_url: str) -> Iterator[Ledger]:
    opened = Ledger.open(postgres_url)
    yield opened
    opened.close()


@pytest.mark.parametrize("budget", [None, *(pytest.param(usd, marks=pytest.mark.long) for usd in (1.0, 0.0005))])
async def test_the_gauges_are_those_of_the_ledger_and_of_the_books(
    budget: float | None, tmp_path: Path, sandbox: Sandbox, ledger: Ledger, postgres_url: str, seen: Seen
) -> None:
    batch = batch_in(tmp_path, 120, budget_usd=budget, max_in_flight=6, tags={"team": "support"})
    leading, _ = await run_members(batch, sandbox, ledger, postgres_url)
    billed = ledger.tally("test").billed_micro_usd or 0
    assert (leading.stop is not None) == (budget == 0.0005)
    assert seen.total("pareta.batch.spend") == billed == sandbox.books().debited_micro_usd > 0
    (point,) = seen.points("pareta.batch.billed")
    assert (point.value, point.attributes["pareta.team"]) == (billed, "support")
    left = [point.value for point in seen.points("pareta.batch.budget.left")]
    assert left == ([] if budget is None else [round(budget * 1_000_000) - billed])
    await run_members(batch.model_copy(update={"budget_usd": 2.0}), sandbox, ledger, postgres_url)
    billed = ledger.tally("test").billed_micro_usd or 0
    assert seen.total("pareta.batch.billed") == billed == sandbox.books().debited_micro_usd
    assert seen.total("pareta.batch.budget.left") == 2_000_000 - billed
