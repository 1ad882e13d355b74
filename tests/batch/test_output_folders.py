"""Answers as a folder of parts, on this machine and in an object store."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import fs

from pareta_batch.answers import WrittenParts, complete_folder, write_answers, write_output, write_parts
from pareta_batch.engine.planning import register_rows
from pareta_batch.errors import DatasetError, LedgerError, OutputError
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.rows.dataset import Dataset
from pareta_batch.spec import Batch
from pareta_sandbox.testing import Sandbox
from tests.batch.batches import answered, batch_in, ledger_in, numbered, run, write_rows
from tests.examples import share_of

pytest.importorskip("moto")
pytest.importorskip("flask_cors")

from tests.batch.google_storage import gcs_server, write_credentials
from tests.batch.object_store import BUCKET, SETTINGS


class Place:
    """An output folder on this machine or in a bucket, as its reader sees it."""

    def __init__(self, output: str, store: fs.FileSystem, path: str) -> None:
        self.output = output
        self._store = store
        self._path = path

    def files(self) -> dict[str, bytes]:
        """Return the content of each file by name."""
        found = self._store.get_file_info(fs.FileSelector(self._path, allow_not_found=True))
        return {each.base_name: self.read(each.base_name) for each in found if each.type == fs.FileType.File}

    def times(self) -> dict[str, int]:
        """Return the time at which each file was written."""
        found = self._store.get_file_info(fs.FileSelector(self._path))
        return {each.base_name: each.mtime_ns for each in found if each.type == fs.FileType.File}

    def read(self, name: str) -> bytes:
        with self._store.open_input_stream(f"{self._path}/{name}", compression=None) as file:
            return bytes(file.read())

    def write(self, name: str, content: bytes) -> None:
        self._store.create_dir(self._path)
        with self._store.open_output_stream(f"{self._path}/{name}", compression=None) as file:
            file.write(content)

    def remove(self, name: str) -> None:
        self._store.delete_file(f"{self._path}/{name}")


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.long)])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.chdir(tmp_path)
    if request.param == "local":
        yield Place(f"{tmp_path}/answers/", fs.LocalFileSystem(), f"{tmp_path}/answers")
        return
    store = request.getfixturevalue("bucket")
    yield Place(f"s3://{BUCKET}/answers/", store, f"{BUCKET}/answers")


def batch_into(folder: Path, place: Place, rows: int = 10, **changes: Any) -> Batch:
    """Return a batch of rows in parts of four."""
    return batch_in(folder, rows, output=place.output, **{"shard_size": 2, "part_rows": 4, **changes})


def settle(batch: Batch, ledger: Ledger, answer: str = "ok") -> None:
    """Register the batch's rows, and write an answer for each that is missing."""
    register_rows(batch, ledger)
    for shard in ledger.missing_shards(batch.name, batch.shard_size):
        missing = list(ledger.missing(batch.name, shard, batch.shard_size))
        ledger.record(batch.name, [answered(each.key, each.fingerprint, answer=answer) for each in missing])


PARTS = [f"part-{number:05}" for number in range(3)]


@pytest.mark.parametrize("place", ["local", "s3"], indirect=True)
@pytest.mark.parametrize("part_format", ["parquet", "jsonl", "csv"])
async def test_a_run_leaves_a_folder_of_parts_that_reads_as_one_dataset(
    tmp_path: Path, place: Place, sandbox: Sandbox, ledger: Ledger, part_format: str
) -> None:
    batch = batch_into(tmp_path, place, part_format=part_format)
    report = await run(batch, sandbox, ledger)
    assert (report.status, report.output) == ("completed", place.output)
    assert sorted(place.files()) == ["_SUCCESS", "_batch.json", *(f"{name}.{part_format}" for name in PARTS)]
    assert json.loads(place.files()["_SUCCESS"]) == {"batch": "test", "parts": 3, "rows": 10, "answers": 10}
    read = [row.values for row in Dataset.open(place.output).rows()]
    single = batch.model_copy(update={"output": str(tmp_path / "single.jsonl")})
    expected = [json.loads(line) for line in write_answers(single, ledger).read_text().splitlines()]
    assert [(row["id"], row["answer"]) for row in read] == [(row["id"], row["answer"]) for row in expected]


def test_readers_of_parquet_folders_see_the_parts_alone(tmp_path: Path, place: Place, ledger: Ledger) -> None:
    batch = batch_into(tmp_path, place)
    settle(batch, ledger)
    write_output(batch, ledger)
    files = place.files()
    for name in files:
        (tmp_path / "copy").mkdir(exist_ok=True)
        (tmp_path / "copy" / name).write_bytes(files[name])
    assert ds.dataset(tmp_path / "copy", format="parquet").to_table()["answer"].to_pylist() == ["ok"] * 10
    schemas = {pq.read_schema(tmp_path / "copy" / f"{name}.parquet") for name in PARTS}
    assert len(schemas) == 1, "every part has the same columns"


def test_writing_again_leaves_unchanged_parts_as_they_are(tmp_path: Path, place: Place, ledger: Ledger) -> None:
    batch = batch_into(tmp_path, place)
    settle(batch, ledger)
    write_output(batch, ledger)
    first, before = place.times(), place.files()
    write_output(batch, ledger)
    assert place.times() == first
    write_rows(tmp_path / "rows.jsonl", [*numbered(9), {**numbered(10)[9], "text": "edited"}])
    settle(batch, ledger, answer="new")
    write_output(batch, ledger)
    after = place.files()
    assert {name for name in after if after[name] != before[name]} == {"part-00002.parquet"}
    assert {name for name, at in place.times().items() if at == first[name]} >= {"_batch.json", *parquet(PARTS[:2])}


def parquet(parts: list[str]) -> list[str]:
    return [f"{name}.parquet" for name in parts]


def test_the_parts_of_a_dataset_that_became_shorter_are_removed(tmp_path: Path, place: Place, ledger: Ledger) -> None:
    batch = batch_into(tmp_path, place)
    settle(batch, ledger)
    write_output(batch, ledger)
    write_rows(tmp_path / "rows.jsonl", numbered(3))
    settle(batch, ledger)
    write_output(batch, ledger)
    assert sorted(place.files()) == ["_SUCCESS", "_batch.json", "part-00000.parquet"]
    assert Dataset.open(place.output).columns[0] == "id"


@pytest.mark.parametrize("broken_at", [0, 1, 2])
def test_a_folder_whose_writer_ended_early_is_seen_as_incomplete_and_completed_by_the_next(
    tmp_path: Path, place: Place, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, broken_at: int
) -> None:
    batch = batch_into(tmp_path, place)
    settle(batch, ledger)
    write_output(batch, ledger)
    expected = place.files()
    # The rows of every part change: the first changed part takes _SUCCESS away.
    write_rows(tmp_path / "rows.jsonl", [{**row, "note": "new"} for row in numbered(10)])
    settle(batch, ledger)
    read = ledger.outcomes_of
    left = iter(range(broken_at))

    def failing(batch: str, keys: Any) -> Any:
        if next(left, None) is None:
            raise LedgerError("the ledger is gone")
        return read(batch, keys)

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "outcomes_of", failing)
        patch.setattr("pareta_batch.answers.answers_file.CHUNK_ROWS", 4)
        with pytest.raises(LedgerError, match="is gone"):
            write_output(batch, ledger)
    assert {name for name, content in place.files().items() if content == expected.get(name)} >= set(
        parquet(PARTS[broken_at:])
    ), "no part is half-written"
    if broken_at:
        assert "_SUCCESS" not in place.files()
        with pytest.raises(DatasetError, match=r"answers folder without _SUCCESS: .*; run that batch again"):
            Dataset.open(place.output)
    write_output(batch, ledger)
    assert [row.values["note"] for row in Dataset.open(place.output).rows()] == ["new"] * 10


def test_ranges_of_shards_written_apart_are_the_folder_that_one_process_writes(
    tmp_path: Path, place: Place, ledger: Ledger
) -> None:
    batch = batch_into(tmp_path, place)
    settle(batch, ledger)
    write_output(batch, ledger)
    whole = place.files()
    for name in parquet(PARTS):
        place.remove(name)
    second = write_parts(batch, ledger, range(4, 6))
    with pytest.raises(OutputError, match=r"missing part-00000.parquet; run the batch again"):
        complete_folder(batch, ledger, second + write_parts(batch, ledger, range(2, 4)) + WrittenParts(1))
    first = write_parts(batch, ledger, range(2))
    complete_folder(batch, ledger, first + write_parts(batch, ledger, range(2, 4)) + second)
    assert place.files() == whole
    with pytest.raises(ValueError, match="a part has 2 shards; begin at a multiple of 2"):
        write_parts(batch, ledger, range(1, 4))


@settings(max_examples=share_of(20), deadline=None)
@given(rows=st.integers(1, 12), shard=st.integers(1, 4), part=st.integers(1, 6), data=st.data())
def test_any_ranges_in_any_order_are_the_answers_of_one_file(
    tmp_path_factory: pytest.TempPathFactory, rows: int, shard: int, part: int, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("ranges")
    batch = batch_in(folder, rows, output=f"{folder}/out/", shard_size=shard, part_rows=part, part_format="jsonl")
    ledger = ledger_in(folder)
    settle(batch, ledger)
    size = -(-part // shard)
    shards = -(-rows // shard)
    cuts = sorted({0, *data.draw(st.sets(st.integers(0, shards // size).map(lambda n: n * size))), shards})
    ranges = data.draw(st.permutations([range(*cut) for cut in pairwise(cuts)]))
    complete_folder(batch, ledger, sum((write_parts(batch, ledger, each) for each in ranges), start=WrittenParts()))
    read = [row.values["id"] for row in Dataset.open(f"{folder}/out").rows()]
    assert read == [row["id"] for row in numbered(rows)]
    assert json.loads((folder / "out" / "_SUCCESS").read_text())["answers"] == rows
    ledger.close()


def refusal(batch: Batch, ledger: Ledger) -> str:
    """Return the message with which registering refuses a batch, before anything is sent."""
    with pytest.raises(OutputError) as refused:
        register_rows(batch, ledger)
    return str(refused.value)


@pytest.mark.parametrize("name", ["data.parquet", "part-00000.parquet", "_SUCCESS", "sub/x"])
def test_a_folder_with_files_that_no_batch_wrote_is_refused(
    tmp_path: Path, place: Place, ledger: Ledger, name: str
) -> None:
    if "/" in name and not place.output.startswith("s3"):
        (tmp_path / "answers" / "sub").mkdir(parents=True)
    place.write(name, b"mine")
    message = refusal(batch_into(tmp_path, place), ledger)
    assert message.endswith(f"holds {name!r}, which no batch wrote; choose an empty folder")
    assert place.read(name) == b"mine"


def test_two_batches_do_not_share_a_folder(tmp_path: Path, place: Place, ledger: Ledger) -> None:
    batch = batch_into(tmp_path, place)
    register_rows(batch, ledger)
    assert "folder of batch 'test'; choose another output" in refusal(batch_into(tmp_path, place, name="two"), ledger)
    inside = batch_into(tmp_path, place, name="two").model_copy(update={"output": f"{place.output}two/"})
    assert "it is in the answers folder" in refusal(inside, ledger)
    place.remove("_batch.json")
    assert "file of batch 'test'; choose another output for batch 'two'" in refusal(
        batch_into(tmp_path, place, name="two"), ledger
    )
    other = batch.model_copy(update={"output": str(tmp_path / "a.jsonl")})
    register_rows(other, ledger)
    register_rows(batch_into(tmp_path, place, name="two"), ledger)


def test_a_folder_of_another_ledger_with_more_answers_is_kept(tmp_path: Path, place: Place, ledger: Ledger) -> None:
    batch = batch_into(tmp_path, place)
    settle(batch, ledger)
    write_output(batch, ledger)
    before = place.files()
    (tmp_path / "other").mkdir()
    other = ledger_in(tmp_path / "other")
    message = refusal(batch, other)
    assert "it holds 10 answers, the ledger has 0 for batch 'test'; set PARETA_LEDGER_URL" in message
    assert place.files() == before
    elsewhere = batch.model_copy(update={"output": str(tmp_path / "other.jsonl")})
    settle(elsewhere, other, answer="bought again")
    settle(batch, other)
    write_output(batch, other)
    assert [row.values["answer"] for row in Dataset.open(place.output).rows()] == ["bought again"] * 10
    other.close()


def test_answers_whose_rows_the_dataset_no_longer_has_leave_the_folder_incomplete(
    tmp_path: Path, place: Place, ledger: Ledger
) -> None:
    batch = batch_into(tmp_path, place)
    settle(batch, ledger)
    write_rows(tmp_path / "rows.jsonl", numbered(9))
    with pytest.raises(OutputError, match="no longer has the rows of 1 answer in the ledger; run the batch again"):
        write_output(batch, ledger)
    assert "_SUCCESS" not in place.files()


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        ("s3://bucket/answers.parquet", "an object store holds answers as a folder of parts; end its name in /"),
        ("s3://bucket/", "a whole bucket; name a folder in it"),
        ("s3:///", "without a bucket"),
        ("s3://key:secret@bucket/a/", "URL with credentials; remove them"),
        ("gs://anonymous@bucket/a/", "an anonymous user cannot write"),
        ("ftp://host/a/", "ftp:// is not supported"),
        ("/", "no name; name a folder for the answers of this batch alone"),
        ("./", "no name"),
        ("../", "no name"),
        ("answers", "must end in .csv, .jsonl, .parquet, or in / for a folder of parts"),
    ],
)
def test_an_output_that_cannot_be_a_folder_is_refused(tmp_path: Path, output: str, problem: str) -> None:
    with pytest.raises(ValueError, match="output") as refused:
        batch_in(tmp_path, output=output)
    assert problem in str(refused.value)
    assert "secret" not in str(refused.value).split("input_value")[0]


def test_lines_for_openai_are_parts_of_json_lines(tmp_path: Path, ledger: Ledger) -> None:
    output: dict[str, Any] = {"output": f"{tmp_path}/out/", "output_format": "openai_batch"}
    with pytest.raises(ValueError, match="is JSON Lines; set part_format: jsonl"):
        batch_in(tmp_path, **output)
    batch = batch_in(tmp_path, 3, **output, part_format="jsonl")
    settle(batch, ledger)
    write_output(batch, ledger)
    lines = (tmp_path / "out" / "part-00000.jsonl").read_text().splitlines()
    assert [json.loads(line)["custom_id"] for line in lines] == ["r0", "r1", "r2"]


def test_a_folder_and_its_dataset_have_no_file_in_common(tmp_path: Path, ledger: Ledger) -> None:
    (tmp_path / "data").mkdir()
    rows = write_rows(tmp_path / "data" / "rows.jsonl", numbered(2))
    for dataset, output in (
        (rows, f"{tmp_path}/data/"),
        (f"{tmp_path}/data", f"{tmp_path}/data/answers/"),
        ("s3://bucket/data", "s3://bucket/data/answers/"),
        ("s3://bucket/data/x.csv", "s3://bucket/data/"),
    ):
        batch = batch_in(tmp_path, dataset=str(dataset), output=output)
        assert "it shares files with the dataset" in refusal(batch, ledger)


def test_a_bucket_that_does_not_exist_is_named_before_anything_is_sent(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch, ledger: Ledger
) -> None:
    for name, value in {**SETTINGS, "AWS_ENDPOINT_URL": address}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    message = refusal(batch_in(tmp_path, output="s3://nobody/answers/"), ledger)
    assert message.startswith("answers folder s3://nobody/answers/: ")
    assert SETTINGS["AWS_SECRET_ACCESS_KEY"] not in message
    assert ledger.batches() == []


def test_a_folder_in_google_cloud_storage(tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    write_credentials(tmp_path / "key.json")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    objects: dict[str, bytes] = {}
    with gcs_server(objects) as server:
        output = f"gs://{BUCKET}/answers/?endpoint_override={server}&scheme=http"
        batch = batch_in(tmp_path, output=output)
        register_rows(batch, ledger)
        ledger.record(batch.name, [answered(each.key, each.fingerprint) for each in ledger.missing(batch.name, 0, 500)])
        write_output(batch, ledger)
        assert set(objects) == {f"answers/{name}" for name in ("_batch.json", "part-00000.parquet", "_SUCCESS")}
        before = dict(objects)
        write_output(batch, ledger)
    assert objects == before
    part = pq.read_table(pa.BufferReader(objects["answers/part-00000.parquet"]))
    assert part["answer"].to_pylist() == ["billing"] * 3
