"""Rows with files, from the ledger to the service: read when they are sent, never held all at once."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pareta_batch.engine.planning import register_rows
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.run import retry_failed
from pareta_batch.spec import Batch
from pareta_client import AsyncPareta
from pareta_sandbox.testing import Sandbox
from tests import files
from tests.batch.batches import batch_in, mostly_on_sqlite, read_answers, run

TEXT = "My invoice is wrong."


def pictures(folder: Path, count: int, *, size: int = 0, place: str = "{n}.png", **changes: Any) -> Batch:
    """Make a batch of pictures, each of another content."""
    rows: list[dict[str, object]] = []
    for n in range(count):
        path = folder / place.format(n=n)
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, files.png(f"{TEXT} ({n})", size=size))
        rows.append({"id": f"r{n}", "file": place.format(n=n)})
    return batch_in(folder, rows, **{"prompt": "Which team?", "attachments": [{"column": "file"}], **changes})


@mostly_on_sqlite
async def test_a_file_that_changed_fails_its_row_unpaid_and_the_others_go_on(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    batch = pictures(tmp_path, 4)
    register_rows(batch, ledger)
    files.write(tmp_path / "1.png", files.png("It crashes. (1)"))
    (tmp_path / "2.png").unlink()
    report = await retry_all(batch, sandbox, ledger)
    assert (report.settled, report.failed, report.not_paid) == (2, 2, 2)
    assert report.errors == {"FileChanged": 2}
    sandbox.completed(2)
    outcomes = ledger.outcomes_of("test", ["r1", "r2"])
    assert "1.png' changed since its row was registered; nothing was sent" in (outcomes["r1"].error_message or "")
    assert "2.png': there is no such file" in (outcomes["r2"].error_message or "")


async def retry_all(batch: Batch, sandbox: Sandbox, ledger: Ledger) -> Any:
    """Send the rows of the ledger without registering the dataset again."""
    from pareta_batch.engine.session import open_session
    from pareta_batch.report import batch_report
    from pareta_batch.run import complete_shards

    client = AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url)
    async with open_session(batch, client, ledger) as session:
        await complete_shards(session, ledger.missing_shards(batch.name, batch.shard_size))
    return batch_report(ledger.tally(batch.name), session, changed=0)


async def test_a_file_that_was_restored_is_sent_again_by_name_of_its_error(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    batch = pictures(tmp_path, 2)
    register_rows(batch, ledger)
    content = (tmp_path / "1.png").read_bytes()
    (tmp_path / "1.png").unlink()
    await retry_all(batch, sandbox, ledger)
    files.write(tmp_path / "1.png", content)
    client = AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url)
    assert (await retry_failed(batch, client, ledger, ["FileChanged"])).settled == 2
    sandbox.completed(2)


async def test_another_content_is_new_work_and_a_moved_file_is_not(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    batch = pictures(tmp_path, 3)
    await run(batch, sandbox, ledger)
    moved = pictures(tmp_path, 3, place="moved/{n}.png")
    assert register_rows(moved, ledger).to_send == 0
    files.write(tmp_path / "moved/0.png", files.png("It crashes."))
    assert (await run(moved, sandbox, ledger)).status == "completed"
    assert [row["answer"] for row in read_answers(moved)] == ["technical", "billing", "billing"]
    sandbox.completed(4)


@mostly_on_sqlite
async def test_a_row_that_was_registered_and_whose_file_moved_is_read_from_its_new_place(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    register_rows(pictures(tmp_path, 3), ledger)
    for n in range(3):
        (tmp_path / f"{n}.png").unlink()
    report = await run(pictures(tmp_path, 3, place="moved/{n}.png"), sandbox, ledger)
    assert (report.status, report.settled) == ("completed", 3)


@mostly_on_sqlite
async def test_sampling_of_a_row_is_sent_and_survives_a_restart(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    rows: list[dict[str, object]] = [{"id": str(n), "text": TEXT, "limit": limit} for n, limit in enumerate((1, 10))]
    batch = batch_in(tmp_path, rows, sampling_columns={"max_tokens": "limit"}, sampling={"max_tokens": 10})
    register_rows(batch, ledger)
    await run(batch, sandbox, ledger)
    assert [(row["answer"], row["flag"]) for row in read_answers(batch)] == [("bill", "cut"), ("billing", None)]


PROGRAM = """
import asyncio, resource, sys
from pathlib import Path
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.run import run_batch
from pareta_batch.spec import Batch
from pareta_client import AsyncPareta

batch = Batch.model_validate_json(sys.argv[1])
client = AsyncPareta(api_key=sys.argv[2], base_url=sys.argv[3])
report = asyncio.run(run_batch(batch, client, Ledger.open(sys.argv[4])))
assert report.settled == report.total, report
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def peak_mib(batch: Batch, sandbox: Sandbox, ledger: Path) -> int:
    """Return the peak memory of a run in a process of its own, in MiB."""
    given = (batch.model_dump_json(), sandbox.api_key, sandbox.base_url, f"sqlite:///{ledger}")
    done = subprocess.run([sys.executable, "-c", PROGRAM, *given], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.long
def test_the_memory_of_a_run_does_not_grow_with_its_pictures(tmp_path: Path, sandbox: Sandbox) -> None:
    few = pictures(tmp_path / "few", 8, size=1_000_000, max_in_flight=4)
    many = pictures(tmp_path / "many", 100, size=1_000_000, max_in_flight=4)
    small, large = peak_mib(few, sandbox, tmp_path / "few.db"), peak_mib(many, sandbox, tmp_path / "many.db")
    assert large - small < 40, f"{small} MiB for 8 pictures, {large} MiB for 100 of 1 MB each"
