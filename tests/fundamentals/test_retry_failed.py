"""Retry what failed: only failed rows are sent again; an error class selects rows that failed for good."""

from pathlib import Path

from pareta_batch.ledger.ledger import Ledger
from pareta_batch.run import retry_failed
from pareta_client import AsyncPareta
from pareta_sandbox.testing import Sandbox, Status
from tests.batch.batches import batch_in, run

ROWS = 20


def client_of(sandbox: Sandbox) -> AsyncPareta:
    return AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url)


async def test_a_row_that_was_refused_is_sent_again_by_the_name_of_its_error(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.inject(Status(status=400, detail="too long", times=2))
    batch = batch_in(tmp_path, ROWS)
    first = await run(batch, sandbox, ledger)
    assert (first.settled, first.failed, first.errors) == (ROWS - 2, 2, {"BadRequestError": 2})

    report = await retry_failed(batch, client_of(sandbox), ledger, errors=["BadRequestError"])

    assert (report.settled, report.failed) == (ROWS, 0)
    sandbox.completed(ROWS)
    sandbox.debited_once()


async def test_without_a_name_a_final_failure_is_not_sent_again(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.inject(Status(status=400, detail="too long", times=2))
    batch = batch_in(tmp_path, ROWS)
    await run(batch, sandbox, ledger)
    before = sandbox.books()
    assert (await retry_failed(batch, client_of(sandbox), ledger)).failed == 2
    sandbox.silent_since(before)
