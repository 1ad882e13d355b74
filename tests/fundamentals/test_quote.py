"""Quote a batch before it runs: nothing that is billed is sent, except the pilot that was asked for."""

from pathlib import Path

from pareta_batch.ledger.ledger import Ledger
from pareta_batch.quoting import quote_rows
from pareta_client import AsyncPareta
from pareta_sandbox.testing import Sandbox
from tests.batch.batches import batch_in, run

ROWS = 60


def client_of(sandbox: Sandbox) -> AsyncPareta:
    return AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url)


async def test_a_quote_without_a_pilot_spends_nothing(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    await quote_rows(batch_in(tmp_path, ROWS), client_of(sandbox), ledger)
    assert sandbox.books().debits == ()


async def test_the_rows_of_a_pilot_are_not_paid_for_again(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    batch = batch_in(tmp_path, ROWS)
    await quote_rows(batch, client_of(sandbox), ledger, pilot=20)
    sandbox.completed(20)
    report = await run(batch, sandbox, ledger)
    assert report.settled == ROWS
    sandbox.completed(ROWS)
    sandbox.debited_once()
