"""Out of credit: the first 402 stops the batch, and a run after a top-up sends only what is missing."""

from pathlib import Path

from pareta_batch.ledger.ledger import Ledger
from pareta_sandbox.testing import Sandbox, micro_usd
from tests.batch.batches import batch_in, run

ROWS = 60
IN_FLIGHT = 4


async def test_an_empty_balance_stops_the_batch_at_once(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    sandbox.set_balance("0.0001")
    report = await run(batch_in(tmp_path, ROWS, max_in_flight=IN_FLIGHT), sandbox, ledger)
    assert (report.status, report.stopped) == ("stopped", "InsufficientCreditsError")
    books = sandbox.books()
    assert 0 < report.settled < ROWS
    assert books.completions_seen <= report.settled + IN_FLIGHT, "nothing was sent after the calls in flight"
    assert books.debited_micro_usd <= micro_usd("0.0001")


async def test_after_a_top_up_the_same_batch_sends_only_what_is_missing(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.set_balance("0.0001")
    batch = batch_in(tmp_path, ROWS, max_in_flight=IN_FLIGHT)
    await run(batch, sandbox, ledger)
    sandbox.top_up(1)
    report = await run(batch, sandbox, ledger)
    assert (report.status, report.settled) == ("completed", ROWS)
    sandbox.completed(ROWS)
    sandbox.debited_once()
