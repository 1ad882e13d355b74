"""Complete a batch: every row is answered once, paid for once, and written in the order of the dataset."""

from pathlib import Path

from pareta_batch.ledger.ledger import Ledger
from pareta_sandbox.testing import Sandbox
from tests.batch.batches import batch_in, read_answers, run


async def test_every_row_is_answered_once_and_paid_for_once(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    report = await run(batch_in(tmp_path, 40, max_in_flight=4), sandbox, ledger)
    assert (report.status, report.total, report.settled) == ("completed", 40, 40)
    assert report.billed_micro_usd == sandbox.books().debited_micro_usd
    sandbox.completed(40)
    sandbox.debited_once()
    sandbox.never_more_in_flight_than(4)


async def test_the_answers_file_has_the_rows_of_the_dataset_in_their_order(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    batch = batch_in(tmp_path, 12, max_in_flight=4)
    await run(batch, sandbox, ledger)
    answers = read_answers(batch)
    assert [row["id"] for row in answers] == [f"r{n}" for n in range(12)]
    assert all(row["answer"] and row["error"] is None for row in answers)


async def test_running_a_finished_batch_again_sends_nothing(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    batch = batch_in(tmp_path, 12)
    await run(batch, sandbox, ledger)
    before = sandbox.books()
    assert (await run(batch, sandbox, ledger)).status == "completed"
    sandbox.silent_since(before)


async def test_only_the_rows_that_were_added_are_sent(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    await run(batch_in(tmp_path, 10), sandbox, ledger)
    report = await run(batch_in(tmp_path, 15), sandbox, ledger)
    assert (report.total, report.settled) == (15, 15)
    sandbox.completed(15)
    sandbox.debited_once()
