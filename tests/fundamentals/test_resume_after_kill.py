"""Resume after kill -9: a second run sends only what is missing, and presents the same idempotency keys."""

from pathlib import Path

from pareta_batch.ledger.ledger import Ledger
from pareta_sandbox.testing import Sandbox
from tests.batch.batches import batch_in, run, until
from tests.batch.processes import running_elsewhere

ROWS = 120
IN_FLIGHT = 8


async def test_a_killed_run_is_resumed_and_no_row_is_debited_twice(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.change(latency_ms=20)
    batch = batch_in(tmp_path, ROWS, max_in_flight=IN_FLIGHT)
    with running_elsewhere(batch, sandbox, f"sqlite:///{tmp_path / 'ledger.db'}"):
        await until(lambda: sandbox.books().completions >= ROWS // 2, within_s=60)
    # The process was killed. The service still answers the requests that were in flight.
    await until(lambda: sandbox.books().in_flight == 0)
    settled = ledger.tally(batch.name).settled
    assert 0 < settled < ROWS

    report = await run(batch, sandbox, ledger)

    assert (report.status, report.settled) == ("completed", ROWS)
    sandbox.completed(ROWS)
    sandbox.debited_once()
