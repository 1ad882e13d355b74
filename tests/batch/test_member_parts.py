"""Parts of an output folder that the members of a run write: whole, complete, and the same as of one process."""

import asyncio
import json
import os
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareta_batch.answers import WrittenParts, answer_parts, write_output
from pareta_batch.answers.output_folder import OutputFolder
from pareta_batch.errors import OutputError
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.selection import RowSelection
from pareta_batch.members import Member, lead_members, part_writing
from pareta_batch.members.part_writing import members_write, part_ranges
from pareta_batch.rows.dataset import Dataset
from pareta_batch.run import run_with_members
from pareta_batch.spec import Batch
from pareta_sandbox.testing import Sandbox, Status
from tests.batch import member_processes
from tests.batch.batches import batch_in, until, write_rows
from tests.batch.test_members import ledger, member_of  # noqa: F401 - a fixture
from tests.batch.test_output_folders import Place, place  # noqa: F401 - a fixture
from tests.forks import forked

ROWS: list[dict[str, object]] = [{"id": f"r{n}", "text": f"text {n % 30}"} for n in range(41)]


def batch_into(folder: Path, place: Place, **changes: Any) -> Batch:  # noqa: F811
    return batch_in(
        folder, ROWS, output=place.output, **{"shard_size": 2, "part_rows": 4, "max_in_flight": 6, **changes}
    )


def starter(batch: Batch, sandbox: Sandbox, url: str) -> Callable[[Sequence[Member]], Awaitable[object]]:
    return lambda every: asyncio.gather(*(member_of(batch, sandbox, url, one) for one in every))


def no_parts(*_: object) -> WrittenParts:
    raise AssertionError("the parent writes parts")


async def test_members_write_all_parts_and_the_parent_completes_the_folder(
    tmp_path: Path,
    sandbox: Sandbox,
    ledger: Ledger,  # noqa: F811
    postgres_url: str,
    place: Place,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batch = batch_into(tmp_path, place)
    with monkeypatch.context() as patch:
        patch.setattr(answer_parts, "write_parts", no_parts)
        report = await run_with_members(batch, ledger, 3, starter(batch, sandbox, postgres_url))
    assert (report.status, report.settled, report.copied) == ("completed", 41, 11)
    assert json.loads(place.files()["_SUCCESS"]) == {"batch": "test", "parts": 11, "rows": 41, "answers": 41}
    written = place.times()
    write_output(batch, ledger)
    assert place.times() == written, "one process writes the same"
    assert [row.values["id"] for row in Dataset.open(place.output).rows()] == [row["id"] for row in ROWS]


async def test_a_run_with_another_shard_size_replaces_all_parts(
    tmp_path: Path,
    sandbox: Sandbox,
    ledger: Ledger,  # noqa: F811
    postgres_url: str,
    place: Place,  # noqa: F811
) -> None:
    batch = batch_into(tmp_path, place)
    await run_with_members(batch, ledger, 3, starter(batch, sandbox, postgres_url))
    write_rows(tmp_path / "rows.jsonl", [*ROWS, {"id": "new", "text": "one more"}])
    larger = batch.model_copy(update={"shard_size": 3, "part_rows": 10})
    report = await run_with_members(larger, ledger, 2, starter(larger, sandbox, postgres_url))
    assert (report.settled, report.this_run and report.this_run.sent) == (42, 1)
    parts = {name for name in place.files() if name.startswith("part-")}
    assert parts == {f"part-{number:05}.parquet" for number in range(4)}
    assert [row.values["id"] for row in Dataset.open(place.output).rows()] == [*(row["id"] for row in ROWS), "new"]
    sandbox.debited_once()


async def test_failed_rows_that_are_sent_again_leave_the_folder_as_it_is(
    tmp_path: Path,
    sandbox: Sandbox,
    ledger: Ledger,  # noqa: F811
    postgres_url: str,
    place: Place,  # noqa: F811
) -> None:
    sandbox.inject(Status(status=400, skip=10, times=4))
    batch = batch_into(tmp_path, place)
    await run_with_members(batch, ledger, 2, starter(batch, sandbox, postgres_url))
    before = place.files()
    assert "_SUCCESS" in before
    async with lead_members(batch, ledger, 2, RowSelection(errors=("BadRequestError",))) as leading:
        await leading.work(starter(batch, sandbox, postgres_url))
    assert (leading.stop, leading.progress.settled, leading.written) == (None, 4, None)
    assert place.files() == before


def work_and_hang(flag: str, store: dict[str, str], *given: Any) -> None:
    """Work as a member that never ends its first part: it is uploaded or renamed after all of its rows are written."""

    os.environ.update(store)  # the server that forks this process may be older than the bucket

    def hang(*_: object) -> None:
        Path(flag).touch()
        threading.Event().wait()

    OutputFolder._publish = hang  # type: ignore[method-assign,assignment]
    member_processes._work(*given)


async def test_a_member_that_is_killed_while_it_writes_leaves_no_half_part_and_another_one_writes_its_range(
    tmp_path: Path,
    sandbox: Sandbox,
    ledger: Ledger,  # noqa: F811
    postgres_url: str,
    place: Place,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batch, flag = batch_into(tmp_path, place), tmp_path / "writes"
    store = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    given_to_all = (batch.model_dump_json(), sandbox.api_key, sandbox.base_url, postgres_url)

    async def start(members: Sequence[Member]) -> None:
        first, second = members
        with forked(work_and_hang, str(flag), store, *given_to_all, asdict(first)) as process:
            await until(flag.exists, within_s=60)
            assert not [name for name in place.files() if name.startswith("part-") or name == "_SUCCESS"]
            process.kill()
            process.join()
        await member_of(batch, sandbox, postgres_url, second)

    monkeypatch.setattr(answer_parts, "write_parts", no_parts)
    report = await run_with_members(batch, ledger, 2, start)
    assert (report.status, report.settled) == ("completed", 41)
    assert json.loads(place.files()["_SUCCESS"])["parts"] == 11
    assert [row.values["id"] for row in Dataset.open(place.output).rows()] == [row["id"] for row in ROWS]


async def test_parts_that_no_member_can_write_are_written_by_the_parent(
    tmp_path: Path,
    sandbox: Sandbox,
    ledger: Ledger,  # noqa: F811
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails(*_: object) -> WrittenParts:
        raise OutputError("answers folder answers/: no space left on device; correct it, or choose another output")

    monkeypatch.setattr(part_writing, "write_parts", fails)
    batch = batch_in(tmp_path, 9, output=f"{tmp_path}/answers/", shard_size=2, part_rows=4)
    report = await run_with_members(batch, ledger, 2, starter(batch, sandbox, postgres_url))
    assert report.status == "completed"
    assert json.loads((tmp_path / "answers" / "_SUCCESS").read_text())["parts"] == 3
    assert "a member cannot write its parts: answers folder answers/: no space left on device" in caplog.text


async def test_a_cancelled_member_waits_for_the_part_that_it_writes() -> None:
    begun, ended, stops = threading.Event(), threading.Event(), []

    class Stopped:
        def stop_because(self, reason: str, _: str) -> None:
            stops.append(reason)

    def write() -> WrittenParts:
        begun.set()
        ended.wait(30)
        return WrittenParts()

    writing = asyncio.create_task(part_writing._uncancelled(Stopped(), write))  # type: ignore[arg-type]
    await until(begun.is_set, within_s=30)
    writing.cancel()
    await until(lambda: bool(stops), within_s=30)
    assert not writing.done()
    ended.set()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert stops == ["Cancelled"]


@given(st.integers(1, 500), st.integers(1, 9), st.integers(1, 40), st.integers(1, 12))
def test_ranges_of_parts_cover_each_shard_once(rows: int, shard_size: int, part_rows: int, members: int) -> None:
    batch = Batch(
        name="a", model="ep", prompt="{text}", dataset="rows.csv", output="out/", shard_size=shard_size
    ).model_copy(update={"part_rows": part_rows})
    size = answer_parts.shards_per_part(batch)
    ranges = part_ranges(batch, rows, members)
    assert len(ranges) <= members
    assert all(each.start % size == 0 and each for each in ranges)
    shards = [shard for each in ranges for shard in each]
    assert shards == list(range(len(shards)))
    assert len(shards) == size * ceil(rows / (size * shard_size))


@pytest.mark.parametrize(
    ("dataset", "output", "runner", "expected"),
    [
        ("rows.csv", "answers/", "local", True),
        ("rows.csv", "answers.jsonl", "local", False),
        ("-", "answers/", "local", False),
        ("rows.csv", "answers/", "pool", False),
        ("rows.csv", "s3://bucket/answers/", "local", True),
        ("rows.csv", "s3://bucket/answers/", "ray", False),
        ("s3://bucket/rows/", "answers/", "ray", False),
        ("s3://bucket/rows/", "s3://bucket/answers/", "dask", True),
    ],
)
def test_members_write_folders_that_all_of_them_can_reach(
    dataset: str, output: str, runner: str, expected: bool
) -> None:
    batch = Batch(name="a", model="ep", prompt="{text}", dataset=dataset, output=output)
    assert members_write(batch.model_copy(update={"runner": runner})) is expected
