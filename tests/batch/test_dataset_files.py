"""Datasets of several files: folders, globs, compressed files and partitions."""

import gzip
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pareta_batch.answers.output_checks import check_path
from pareta_batch.errors import DatasetError, OutputError
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.rows.dataset import Dataset, schema
from pareta_batch.rows.glob_pattern import glob_pattern
from pareta_batch.rows.source import Source
from tests.batch.batches import batch_in


def zstd(content: bytes) -> bytes:
    return bytes(pa.compress(content, "zstd", asbytes=True))


def csv_in(folder: Path, *files: str) -> Path:
    """Write a CSV file of one row for each name, whose id is the name."""
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(f"id,text\n{file},x\n")
    return folder


def ids(dataset: str | Source) -> list[object]:
    return [row.values["id"] for row in Dataset.open(dataset).rows()]


def problem(dataset: str | Source) -> str:
    with pytest.raises(DatasetError) as caught:
        list(Dataset.open(dataset).rows())
    return str(caught.value)


def test_a_folder_is_read_in_the_order_of_its_paths(tmp_path: Path) -> None:
    folder = csv_in(tmp_path / "d", "b.csv", "a.csv", "sub/c.csv", "a/z.csv", "A.CSV")
    dataset = Dataset.open(str(folder))
    assert [row.values["id"] for row in dataset.rows()] == ["A.CSV", "a.csv", "a/z.csv", "b.csv", "sub/c.csv"]
    assert [(row.position, row.place) for row in dataset.rows()][3] == (3, f"{folder}/b.csv line 2")


def test_markers_and_hidden_files_of_a_folder_are_no_rows(tmp_path: Path) -> None:
    folder = csv_in(tmp_path, "a.csv", "_SUCCESS", ".a.csv.crc", "_temporary/0/b.csv", ".git/c.csv")
    assert ids(str(folder)) == ids(f"{folder}/") == ["a.csv"]


def test_a_link_to_a_folder_is_not_followed(tmp_path: Path) -> None:
    csv_in(tmp_path, "d/a.csv", "other/b.csv")
    (tmp_path / "d/loop").symlink_to(tmp_path / "d")
    (tmp_path / "d/b.csv").symlink_to(tmp_path / "other/b.csv")
    assert ids(str(tmp_path / "d")) == ["d/a.csv", "other/b.csv"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.csv", ["a.csv", "b.csv"]),
        ("[!b].csv", ["a.csv"]),
        ("?.csv", ["a.csv", "b.csv"]),
        ("**/*.csv", ["a.csv", "b.csv", "s/c.csv", "s/t/d.csv"]),
        ("*/*.csv", ["s/c.csv"]),
        ("s/**", ["s/c.csv"]),
        ("s/**/d.csv", ["s/t/d.csv"]),
        ("_h/*.csv", ["_h/e.csv"]),
    ],
)
def test_a_glob_matches_like_a_shell(tmp_path: Path, pattern: str, found: list[str]) -> None:
    folder = csv_in(tmp_path, "b.csv", "a.csv", "s/c.csv", "s/t/d.csv", "_h/e.csv")
    assert ids(f"{folder}/{pattern}") == found


def test_a_relative_glob_is_relative_to_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(csv_in(tmp_path, "a.csv", "s/b.csv"))
    assert ids("*.csv") == ids("./*.csv") == ["a.csv"]
    assert ids("s") == ids("s/*") == ["s/b.csv"]
    assert ids(".") == ids("./") == ids("**/*.csv") == ["a.csv", "s/b.csv"]


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tmp_path: Path) -> None:
    folder = csv_in(tmp_path, "a[1].csv", "a1.csv")
    assert ids(f"{folder}/a[1].csv") == ["a[1].csv"]


def test_a_file_url_is_a_file_of_this_machine(tmp_path: Path) -> None:
    csv_in(tmp_path, "a b.csv")
    assert ids(f"file://{tmp_path}/a%20b.csv") == ids(f"file://localhost{tmp_path}/a%20b.csv") == ["a b.csv"]


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("a/*", "a/b/c", False),
        ("a/**/c", "a/c", True),
        ("a/b?c", "a/b/c", False),
        ("[[]*", "[x", True),
        ("*.c", "ab", False),
    ],
)
def test_a_wildcard_stays_within_a_folder(pattern: str, text: str, matches: bool) -> None:
    assert (glob_pattern(pattern).fullmatch(text) is not None) is matches


def test_nothing_found_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "no file found" in problem(f"{tmp_path}/*.csv")
    assert "no file found" in problem(f"{tmp_path}/gone/*/x.csv")
    assert "no file found" in problem(str(tmp_path / "empty"))
    assert "there is no such file" in problem(str(tmp_path / "gone"))
    assert "not a regular file" in problem("/dev/null")


def test_files_of_one_dataset_have_one_format(tmp_path: Path) -> None:
    csv_in(tmp_path, "a.csv").joinpath("b.jsonl").write_text('{"id": 1}\n')
    assert problem(str(tmp_path)).endswith("use a glob, such as *.csv")
    assert ids(f"{tmp_path}/*.jsonl") == [1]
    (tmp_path / "b.jsonl").rename(tmp_path / "notes.md")
    assert "notes.md: unsupported format" in problem(str(tmp_path))


def test_files_of_one_dataset_have_the_same_columns_in_any_order(tmp_path: Path) -> None:
    csv_in(tmp_path, "a.csv").joinpath("b.csv").write_text("text,id\nx,b\n")
    assert ids(str(tmp_path)) == ["a.csv", "b"]
    (tmp_path / "c.csv").write_text("id\nc\n")
    assert f"{tmp_path}/c.csv has no column 'text', which {tmp_path}/a.csv has" in problem(str(tmp_path))
    (tmp_path / "c.csv").write_text("id,text,more\nc,d,e\n")
    assert f"{tmp_path}/a.csv has no column 'more', which {tmp_path}/c.csv has" in problem(str(tmp_path))


def test_an_error_names_the_file_and_its_line(tmp_path: Path) -> None:
    csv_in(tmp_path, "a.csv").joinpath("b.csv").write_text("id,text\n1\n")
    assert problem(str(tmp_path)) == f"{tmp_path}/b.csv line 2: 1 fields, the header has 2"
    (tmp_path / "b.csv").write_bytes(b"id,text\nx,y\n\xff,y\n")
    assert problem(str(tmp_path)).startswith(f"{tmp_path}/b.csv line 3: not UTF-8")


@pytest.mark.parametrize(("suffix", "compress"), [(".gz", gzip.compress), (".GZ", gzip.compress), (".zst", zstd)])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("r.csv", b"id,text\na,x\nb,y\n"),
        ("R.TSV", b"id\ttext\na\tx\nb\ty\n"),
        ("r.jsonl", b'{"id": "a", "text": "x"}\n{"id": "b", "text": "y"}'),
        ("r.json", b'[{"id": "a", "text": "x"}, {"id": "b", "text": "y"}]'),
    ],
)
def test_a_compressed_file_is_read_like_a_plain_one(
    tmp_path: Path, name: str, content: bytes, suffix: str, compress: object
) -> None:
    assert callable(compress)
    packed = compress(content)
    (tmp_path / (name + suffix)).write_bytes(packed)
    (tmp_path / name).write_bytes(content)
    assert ids(str(tmp_path / (name + suffix))) == ids(str(tmp_path / name)) == ["a", "b"]


def test_a_compressed_file_that_is_cut_off_is_refused_not_read_in_part(tmp_path: Path) -> None:
    content = "".join(f"{os.urandom(20).hex()},x\n" for _ in range(5_000)).encode()
    for suffix, compress in ((".gz", gzip.compress), (".zst", zstd)):
        path = tmp_path / f"r.csv{suffix}"
        path.write_bytes(compress(b"id,text\n" + content)[:-20])
        assert f"{path}: Truncated" in problem(str(path))


def test_a_gzip_file_of_several_members_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "r.csv.gz"
    path.write_bytes(gzip.compress(b"id\na\n") + gzip.compress(b"b\n"))
    assert ids(str(path)) == ["a", "b"]


def test_a_text_that_only_claims_to_be_compressed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.csv.gz"
    path.write_bytes(b"id\na\n")
    assert str(path) in problem(str(path))


PARTITIONED = pa.table({"id": ["a", "b", "c"], "year": [2025, 2024, 2025], "lang": ["de", "x/y", None]})


def test_hive_partitions_are_columns(tmp_path: Path) -> None:
    pq.write_to_dataset(PARTITIONED, tmp_path / "d", partition_cols=["year", "lang"])
    dataset = Dataset.open(str(tmp_path / "d"))
    rows = {row.values["id"]: (row.values["year"], row.values["lang"]) for row in dataset.rows()}
    assert rows == {"a": (2025, "de"), "b": (2024, "x/y"), "c": (2025, None)}
    assert {each.name: str(each.type) for each in schema(dataset)} == {
        "id": "string",
        "year": "int64",
        "lang": "string",
    }
    assert ids(f"{tmp_path}/d/year=2024/**/*.parquet") == ["b"]
    assert Dataset.open(f"{tmp_path}/d/year=2024").columns == dataset.columns


@pytest.mark.parametrize(
    ("values", "read"), [(["1", "20"], [1, 20]), (["01", "2"], ["01", "2"]), (["-5", "x"], ["-5", "x"])]
)
def test_a_partition_is_a_number_only_if_no_digit_is_lost(
    tmp_path: Path, values: list[str], read: list[object]
) -> None:
    for value in values:
        (tmp_path / f"k={value}").mkdir()
        (tmp_path / f"k={value}/r.jsonl").write_text('{"id": 1}\n')
    assert [row.values["k"] for row in Dataset.open(str(tmp_path)).rows()] == read


def test_a_partition_of_csv_files_is_text_like_their_columns(tmp_path: Path) -> None:
    csv_in(tmp_path, "year=2024/a.csv")
    assert [row.values["year"] for row in Dataset.open(str(tmp_path)).rows()] == ["2024"]


def test_a_column_of_the_file_has_priority_over_its_folder(tmp_path: Path) -> None:
    csv_in(tmp_path, "text=other/a.csv")
    assert [row.values["text"] for row in Dataset.open(str(tmp_path)).rows()] == ["x"]


def test_a_single_file_has_no_columns_from_its_folders(tmp_path: Path) -> None:
    csv_in(tmp_path, "year=2024/a.csv")
    assert Dataset.open(f"{tmp_path}/year=2024/a.csv").columns == ("id", "text")


def test_types_of_parquet_files_that_differ_are_merged(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": pa.array([1], pa.int32()), "b": [1], "c": pa.nulls(1)}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"a": pa.array([2], pa.int64()), "b": ["x"], "c": [True]}), tmp_path / "2.parquet")
    types = {each.name: str(each.type) for each in schema(Dataset.open(str(tmp_path)))}
    assert types == {"a": "int64", "b": "string", "c": "bool"}


@pytest.mark.parametrize("dataset", ["d", "d/", "d/*.csv", "d/**/*.csv"])
def test_an_output_that_would_become_part_of_the_dataset_is_refused(
    tmp_path: Path, ledger: Ledger, dataset: str
) -> None:
    csv_in(tmp_path, "d/a.csv")
    batch = batch_in(tmp_path, dataset=f"{tmp_path}/{dataset}", output=f"{tmp_path}/d/answers.csv")
    with pytest.raises(OutputError, match="would be part of the dataset"):
        check_path(batch, ledger)
    check_path(batch.model_copy(update={"output": f"{tmp_path}/answers.csv"}), ledger)


def test_an_output_that_is_a_link_into_the_dataset_is_refused(tmp_path: Path, ledger: Ledger) -> None:
    csv_in(tmp_path, "d/a.csv")
    os.link(tmp_path / "d/a.csv", tmp_path / "answers.csv")
    with pytest.raises(OutputError, match="is the dataset itself"):
        check_path(batch_in(tmp_path, dataset=f"{tmp_path}/d", output=f"{tmp_path}/answers.csv"), ledger)
