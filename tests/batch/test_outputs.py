"""Where a batch writes: nothing of others is overwritten, and what cannot be written is refused before it is paid."""

import asyncio
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pareta_batch.answers.answers_file import write_answers
from pareta_batch.answers.output_claims import claim
from pareta_batch.engine.planning import register_rows
from pareta_batch.engine.session import open_session
from pareta_batch.errors import BatchUnknown, DatasetError, OutputError
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.spec import Batch
from pareta_client import AsyncPareta
from tests.batch.batches import answered, batch_in, ledger_in, numbered, on_both_databases, read_answers, write_rows
from tests.examples import share_of


@pytest.fixture
def other_ledger(tmp_path: Path) -> Iterator[Ledger]:
    (tmp_path / "other").mkdir()
    opened = ledger_in(tmp_path / "other")
    yield opened
    opened.close()


def settled(batch: Batch, ledger: Ledger, count: int | None = None) -> Path:
    """Register a batch, answer its first rows (or all), and write its answers file."""
    register_rows(batch, ledger)
    asks = list(ledger.missing(batch.name, 0, batch.shard_size))[:count]
    ledger.record(batch.name, [answered(ask.key, ask.fingerprint) for ask in asks])
    return write_answers(batch, ledger)


def refusal(batch: Batch, ledger: Ledger) -> str:
    with pytest.raises(OutputError) as caught:
        register_rows(batch, ledger)
    assert not ledger.batches() or batch.name not in ledger.batches(), "nothing was registered, so nothing is sent"
    return str(caught.value)


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_the_dataset_is_never_the_output_by_any_name(tmp_path: Path, ledger: Ledger, link: Any) -> None:
    dataset = write_rows(tmp_path / "rows.jsonl", numbered(2))
    link(dataset, tmp_path / "alias.jsonl")
    for output in (dataset, tmp_path / "alias.jsonl", tmp_path / "deep" / ".." / "rows.jsonl"):
        assert "is the dataset itself" in refusal(
            batch_in(tmp_path, dataset=str(dataset), output=str(output), name="b"), ledger
        )


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_file_of_the_ledger_is_never_the_output_by_any_name(tmp_path: Path, link: Any) -> None:
    home = tmp_path / "ledger.csv"
    ledger = Ledger.open(f"sqlite:///{home}")
    link(home, tmp_path / "alias.jsonl")
    (tmp_path / "wal.jsonl").symlink_to(tmp_path / "ledger.csv-wal")
    for name in ("ledger.csv", "alias.jsonl", "wal.jsonl"):
        assert "is a file of the ledger" in refusal(batch_in(tmp_path, output=str(tmp_path / name)), ledger)
    ledger.close()


def test_a_relative_ledger_is_known_by_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ledger = Ledger.open("sqlite:///ledger.csv")
    assert "is a file of the ledger" in refusal(batch_in(tmp_path, output=str(tmp_path / "ledger.csv")), ledger)
    ledger.close()


@pytest.mark.parametrize(
    "output",
    [
        "a\0b.csv",
        "x" * 252 + ".csv",
        "x" * 251 + ".csv",
        "folder.csv",
        "loop.csv",
        "rows.jsonl/answers.csv",
        "pipe.csv",
    ],
)
def test_a_path_that_cannot_be_written_is_refused_before_anything_is_sent(
    tmp_path: Path, ledger: Ledger, output: str
) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    assert "choose another output" in refusal(batch_in(tmp_path, output=str(tmp_path / output)), ledger)


def test_an_export_does_not_overwrite_the_ledger_or_the_dataset_either(tmp_path: Path) -> None:
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.csv'}")
    settled(batch_in(tmp_path), ledger)
    for name in ("ledger.csv", "rows.jsonl"):
        with pytest.raises(OutputError, match="choose another output"):
            write_answers(batch_in(tmp_path, output=str(tmp_path / name)), ledger)
    ledger.close()


def test_the_longest_name_that_a_disk_takes_is_taken(tmp_path: Path, ledger: Ledger) -> None:
    assert settled(batch_in(tmp_path, output=str(tmp_path / ("x" * 249 + ".jsonl"))), ledger).is_file()


@pytest.mark.parametrize("there", [True, False])
def test_a_symlink_is_followed(tmp_path: Path, ledger: Ledger, there: bool) -> None:
    target = tmp_path / "elsewhere" / "real.jsonl"
    target.parent.mkdir()
    if there:
        target.touch(mode=0o600)
    link = tmp_path / "link.jsonl"
    link.symlink_to(target)
    batch = batch_in(tmp_path, output=str(link))
    settled(batch, ledger)
    assert link.is_symlink()
    assert not target.is_symlink()
    assert len(read_answers(batch)) == 3
    assert [each.name for each in target.parent.iterdir()] == ["real.jsonl"]
    if there:
        assert target.stat().st_mode & 0o777 == 0o600, "who may read it stays as it was"


def test_a_part_file_of_somebody_else_stays(tmp_path: Path, ledger: Ledger) -> None:
    theirs = tmp_path / "answers.jsonl.part"
    theirs.write_text("mine")
    settled(batch_in(tmp_path), ledger)
    assert theirs.read_text() == "mine"


@on_both_databases
def test_two_batches_never_share_an_output(tmp_path: Path, ledger: Ledger) -> None:
    settled(batch_in(tmp_path, name="one"), ledger)
    before = (tmp_path / "answers.jsonl").read_bytes()
    (tmp_path / "answers.html").touch()
    (tmp_path / "alias").symlink_to(tmp_path)
    for output in ("answers.jsonl", "alias/answers.jsonl", "answers.csv"):  # the last has the same page
        text = refusal(batch_in(tmp_path, name="two", output=str(tmp_path / output)), ledger)
        assert "file of batch 'one'; choose another output for batch 'two'" in text
    assert (tmp_path / "answers.jsonl").read_bytes() == before


ROWS_OF_OTHERS = {
    "customers.csv": b"id,text\n1,mine\n",
    "customers.jsonl": b'{"id": 1, "answer": "mine"}\n',
    "customers.parquet": None,
}


@pytest.mark.parametrize("name", ROWS_OF_OTHERS)
def test_rows_that_are_no_answers_are_not_replaced(tmp_path: Path, ledger: Ledger, name: str) -> None:
    theirs = tmp_path / name
    if (content := ROWS_OF_OTHERS[name]) is None:
        pyarrow.parquet.write_table(pyarrow.table({"id": [1]}), theirs)
    else:
        theirs.write_bytes(content)
    before = theirs.read_bytes()
    batch = batch_in(tmp_path, output=str(theirs))
    assert "its present rows are not answers; move it" in refusal(batch, ledger)
    assert theirs.read_bytes() == before


@pytest.mark.parametrize("content", ["", "id,text\n", "no rows"])
def test_a_file_without_rows_is_replaced(tmp_path: Path, ledger: Ledger, content: str) -> None:
    (tmp_path / "answers.csv").write_text(content)
    batch = batch_in(tmp_path, output=str(tmp_path / "answers.csv"))
    assert len(settled(batch, ledger).read_text().splitlines()) == 4


def test_a_path_that_is_no_text_is_refused(tmp_path: Path, ledger: Ledger) -> None:
    assert "cannot be written" in refusal(batch_in(tmp_path, output=f"{tmp_path}/a\udcff.jsonl"), ledger)


def test_a_folder_under_two_mounts_is_one_folder(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(batch_in(tmp_path, name="one"), ledger)
    (tmp_path / "mount").symlink_to(tmp_path)
    whole = Path.resolve

    def resolve(path: Path, strict: bool = False) -> Path:
        # A mount is no link: its path stays as it is.
        return path if path.parent.name == "mount" else whole(path, strict)

    monkeypatch.setattr(Path, "resolve", resolve)
    text = refusal(batch_in(tmp_path, name="two", output=str(tmp_path / "mount" / "answers.jsonl")), ledger)
    assert "file of batch 'one'; choose another output for batch 'two'" in text


def test_an_output_is_the_same_from_another_folder(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settled(batch_in(tmp_path, name="one", output="answers.jsonl"), ledger)
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    assert "file of batch 'one'" in refusal(batch_in(tmp_path, name="two", output="../answers.jsonl"), ledger)
    settled(batch_in(tmp_path, name="two", output="answers.jsonl"), ledger)


@on_both_databases
def test_a_batch_that_writes_elsewhere_now_releases_its_output_and_may_come_back(
    tmp_path: Path, ledger: Ledger
) -> None:
    first, second = str(tmp_path / "answers.jsonl"), str(tmp_path / "moved.jsonl")
    settled(batch_in(tmp_path, name="one"), ledger)
    settled(batch_in(tmp_path, name="one", output=second), ledger)
    settled(batch_in(tmp_path, name="one", output=first), ledger)
    assert "file of batch 'one'" in refusal(batch_in(tmp_path, name="two", output=first), ledger)
    settled(batch_in(tmp_path, name="two", output=second), ledger)
    with pytest.raises(OutputError, match="file of batch 'two'"):
        register_rows(batch_in(tmp_path, name="one", output=second), ledger)


def test_an_output_whose_file_was_moved_away_is_free(tmp_path: Path, ledger: Ledger) -> None:
    settled(batch_in(tmp_path, name="one"), ledger).rename(tmp_path / "kept.jsonl")
    settled(batch_in(tmp_path, name="two"), ledger)
    with pytest.raises(OutputError, match="file of batch 'two'"):
        write_answers(batch_in(tmp_path, name="one"), ledger)


@on_both_databases
def test_an_output_is_taken_while_a_run_is_under_way_though_there_is_no_file_yet(
    tmp_path: Path, ledger: Ledger
) -> None:
    register_rows(batch_in(tmp_path, name="one"), ledger)
    with ledger.lease("one"):
        assert "file of batch 'one'" in refusal(batch_in(tmp_path, name="two"), ledger)
    register_rows(batch_in(tmp_path, name="two"), ledger)


async def test_a_run_looks_again_before_it_sends(tmp_path: Path, ledger: Ledger) -> None:
    """Between the registration of rows and the first request nobody holds the batch."""
    one = batch_in(tmp_path, name="one")
    register_rows(one, ledger)
    two = batch_in(tmp_path, name="two")
    await asyncio.to_thread(register_rows, two, ledger)
    with ledger.lease("two"), pytest.raises(OutputError, match="file of batch 'two'"):
        async with open_session(one, AsyncPareta(api_key="k", base_url="http://127.0.0.1:9"), ledger):
            raise AssertionError("the session opened")


@on_both_databases
def test_of_two_runs_at_the_same_moment_one_has_the_output(tmp_path: Path, ledger: Ledger) -> None:
    batches = [batch_in(tmp_path, name=name) for name in ("one", "two", "three")]
    meet, had = threading.Barrier(len(batches)), []

    def take(batch: Batch) -> None:
        with ledger.lease(batch.name):
            meet.wait()
            try:
                claim(batch, ledger)
                had.append(batch.name)
            except OutputError:
                pass
            meet.wait()

    threads = [threading.Thread(target=take, args=[batch]) for batch in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(had) == 1


def test_the_same_path_on_another_machine_is_another_disk_until_the_file_is_seen_here(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = batch_in(tmp_path, name="one"), batch_in(tmp_path, name="two")
    file = settled(one, ledger)
    monkeypatch.setattr(socket, "gethostname", lambda: "there")
    assert "file of batch 'one'" in refusal(two, ledger), "a disk that both have"
    file.rename(tmp_path / "here.jsonl")  # the other machine's own disk
    settled(two, ledger).rename(tmp_path / "there.jsonl")
    monkeypatch.undo()
    (tmp_path / "here.jsonl").rename(file)
    settled(one, ledger)


def test_the_answers_of_a_batch_that_the_ledger_does_not_know_are_not_written(tmp_path: Path, ledger: Ledger) -> None:
    settled(batch_in(tmp_path, name="tickets-1"), ledger)
    before = (tmp_path / "answers.jsonl").read_bytes()
    with pytest.raises(BatchUnknown, match=r"has no batch 'tikets-1'; did you mean 'tickets-1'\?; it has: tickets-1"):
        write_answers(batch_in(tmp_path, name="tikets-1"), ledger)
    assert (tmp_path / "answers.jsonl").read_bytes() == before


def test_answers_of_another_ledger_are_not_replaced_by_fewer(
    tmp_path: Path, ledger: Ledger, other_ledger: Ledger
) -> None:
    batch = batch_in(tmp_path)
    before = settled(batch, ledger).read_bytes()
    with pytest.raises(OutputError, match="holds 3 answers, the ledger has 2 for batch 'test'; set PARETA_LEDGER_URL"):
        settled(batch, other_ledger, 2)
    assert batch.output_path.read_bytes() == before
    settled(batch, other_ledger)
    assert len(read_answers(batch)) == 3


def test_answers_that_another_ledger_wrote_since_are_not_replaced_by_fewer(
    tmp_path: Path, ledger: Ledger, other_ledger: Ledger
) -> None:
    batch = batch_in(tmp_path)
    settled(batch, ledger, 1)
    before = settled(batch, other_ledger).read_bytes()
    with pytest.raises(OutputError, match="holds 3 answers, the ledger has 1"):
        write_answers(batch, ledger)
    assert batch.output_path.read_bytes() == before


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_answers_of_another_ledger_are_known_in_every_format(
    tmp_path: Path, ledger: Ledger, other_ledger: Ledger, suffix: str
) -> None:
    rows = [{**row, "answer": "theirs", "Error": None} for row in numbered(3)]
    batch = batch_in(tmp_path, rows, output=str(tmp_path / f"answers{suffix}"))
    settled(batch, ledger)
    with pytest.raises(OutputError, match="holds 3 answers, the ledger has 1"):
        settled(batch, other_ledger, 1)


def test_new_work_of_the_same_ledger_replaces_its_own_answers(tmp_path: Path, ledger: Ledger) -> None:
    """Another model is new work; the answers of the old one stay in the ledger."""
    settled(batch_in(tmp_path), ledger)
    settled(batch_in(tmp_path, model="ep_other"), ledger, 1)
    assert [row["answer"] for row in read_answers(batch_in(tmp_path))] == ["billing", None, None]


def test_rows_that_left_the_dataset_do_not_take_their_answers_with_them(tmp_path: Path, ledger: Ledger) -> None:
    batch = batch_in(tmp_path)
    before = settled(batch, ledger).read_bytes()
    write_rows(tmp_path / "rows.jsonl", numbered(1))
    with pytest.raises(OutputError, match="no longer has the rows of 2 answers in the ledger; run the batch again"):
        write_answers(batch, ledger)
    assert batch.output_path.read_bytes() == before
    settled(batch, ledger)
    assert len(read_answers(batch)) == 1


def test_an_id_that_stands_twice_now_is_named_when_answers_are_written(tmp_path: Path, ledger: Ledger) -> None:
    batch = batch_in(tmp_path)
    settled(batch, ledger)
    write_rows(tmp_path / "rows.jsonl", numbered(1) * 2)
    with pytest.raises(DatasetError, match=r"rows\.jsonl line 2: duplicate id 'r0'"):
        write_answers(batch, ledger)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
@settings(max_examples=share_of(15), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=st.lists(st.dictionaries(st.sampled_from(["a", "b", "Answer"]), VALUES), min_size=1, max_size=4))
def test_whatever_json_lines_hold_can_be_written_once_it_is_registered(
    suffix: str, rows: list[dict[str, object]]
) -> None:
    ledger = Ledger.open("sqlite://")
    named = [{"id": str(position), **row} for position, row in enumerate(rows)]
    with TemporaryDirectory() as folder:
        settled(batch_in(Path(folder), named, output=f"{folder}/a{suffix}", prompt="{id}"), ledger)
    ledger.close()


def test_numbers_over_64_bits_are_text_in_parquet(tmp_path: Path, ledger: Ledger) -> None:
    rows: list[dict[str, object]] = [{"id": 2**64, "text": "a", "mixed": 1}, {"id": 5, "text": "b", "mixed": "x"}]
    batch = batch_in(tmp_path, rows, output=str(tmp_path / "answers.parquet"))
    columns = pa.parquet.read_table(settled(batch, ledger)).to_pydict()
    assert (columns["id"], columns["mixed"]) == (["18446744073709551616", "5"], ["1", "x"])


def test_a_value_that_parquet_has_no_room_for_is_named_before_anything_is_sent(tmp_path: Path, ledger: Ledger) -> None:
    """Arrow reads its eight-bit booleans as booleans and cannot write those back."""
    table = pa.table({"id": ["a", "b"], "x": pa.array([None, 1], pa.bool8())})
    pa.parquet.write_table(table, tmp_path / "rows.parquet")
    given: Any = {"dataset": str(tmp_path / "rows.parquet"), "prompt": "{id}"}
    text = refusal(batch_in(tmp_path, **given, output=str(tmp_path / "answers.parquet")), ledger)
    assert f"{tmp_path / 'rows.parquet'} row 2, column 'x': True cannot be written as" in text
    assert text.endswith("choose .jsonl or .csv as its format")
    assert json.loads(settled(batch_in(tmp_path, **given), ledger).read_text().splitlines()[1])["x"] is True


def test_a_result_gives_way_to_a_column_that_differs_in_capitals_only(tmp_path: Path, ledger: Ledger) -> None:
    """Many readers of Parquet take `Answer` and `answer` for one column."""
    rows = [{**row, "Answer": "theirs"} for row in numbered(1)]
    batch = batch_in(tmp_path, rows, output=str(tmp_path / "answers.parquet"))
    names = pa.parquet.read_schema(settled(batch, ledger)).names
    assert len({name.casefold() for name in names}) == len(names)
    assert "pareta_answer" in names
