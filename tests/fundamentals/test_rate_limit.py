"""Rate limit: a limit that the service enforces is learned from its refusals, and no row fails for it."""

from pathlib import Path

from pareta_batch.ledger.ledger import Ledger
from pareta_sandbox.testing import RateLimit, Sandbox, Status
from tests.batch.batches import batch_in, run

ROWS = 150


async def test_no_row_fails_for_a_rate_limit(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    sandbox.inject(RateLimit(per_s=200, burst=10))
    report = await run(batch_in(tmp_path, ROWS, max_in_flight=32), sandbox, ledger)
    assert (report.status, report.settled, report.failed) == ("completed", ROWS, 0)
    sandbox.completed(ROWS)
    sandbox.debited_once()


async def test_a_retry_after_holds_all_calls(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    sandbox.inject(Status(status=429, retry_after_s=1, skip=10, times=1))
    report = await run(batch_in(tmp_path, ROWS, max_in_flight=1), sandbox, ledger)
    assert (report.status, report.settled) == ("completed", ROWS)
    assert report.wall_s is not None
    assert report.wall_s >= 1
    sandbox.debited_once()
