"""Datasets on an object store: the same rows as from this machine."""

import gzip
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from pareta_batch.errors import DatasetError
from pareta_batch.rows.dataset import Dataset, decimals_of, schema
from pareta_batch.rows.requests import row_requests
from tests.batch.batches import batch_in, numbered
from tests.batch.google_storage import gcs_server

pytest.importorskip("moto")
pytest.importorskip("flask_cors")

from tests.batch.object_store import BUCKET, put


def rows(url: str) -> list[tuple[str, object]]:
    return [(row.place.removeprefix(f"s3://{BUCKET}/"), row.values["id"]) for row in Dataset.open(url).rows()]


def test_files_folders_and_globs_of_a_bucket(bucket: fs.FileSystem) -> None:
    put(bucket, "d/b.csv", b"id,text\nb,x\n")
    put(bucket, "d/a b%20.csv.gz", gzip.compress(b"id,text\na,x\n"))
    put(bucket, "d/_SUCCESS", b"")
    put(bucket, "d/sub/c.CSV", b"id,text\nc,x\n")
    bucket.create_dir(f"{BUCKET}/d/marker")
    every = [("d/a b%20.csv.gz line 2", "a"), ("d/b.csv line 2", "b"), ("d/sub/c.CSV line 2", "c")]
    assert rows(f"s3://{BUCKET}/d") == rows(f"s3://{BUCKET}/d/") == rows(f"S3://{BUCKET}/d/**/*.*") == every
    assert rows(f"s3a://{BUCKET}/d/?.csv")[0][1] == "b"
    assert rows(f"s3://{BUCKET}/d/a b%20.csv.gz?region=eu-west-1") == every[:1]


def test_a_batch_has_the_same_requests_from_a_bucket(bucket: fs.FileSystem, tmp_path: Path) -> None:
    table = pa.Table.from_pylist(numbered(2_500))
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=700)
    bucket.create_dir(f"{BUCKET}/split")
    for part, first in enumerate(range(0, 2_500, 1_250)):
        pq.write_table(table.slice(first, 1_250), f"{BUCKET}/split/{part}.parquet", filesystem=bucket)
    local = batch_in(tmp_path, dataset=str(tmp_path / "rows.parquet"))
    stored = local.model_copy(update={"dataset": f"s3://{BUCKET}/split"})
    assert list(row_requests(local)) == list(row_requests(stored))


def test_partitions_and_timestamps_of_a_bucket(bucket: fs.FileSystem) -> None:
    when = pa.array([5_000, 1], pa.timestamp("ms"))
    table = pa.table({"id": ["a", "b"], "year": [2025, 2024], "when": when})
    pq.write_to_dataset(table, f"{BUCKET}/hive", partition_cols=["year"], filesystem=bucket)
    dataset = Dataset.open(f"s3://{BUCKET}/hive")
    assert [row.values["year"] for row in dataset.rows()] == [2024, 2025]
    assert (schema(dataset).names, decimals_of(dataset)) == (["id", "when", "year"], {"when": 3})


def test_a_workbook_of_a_bucket(bucket: fs.FileSystem, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.worksheets[0].append(["id"])
    book.worksheets[0].append([7])
    book.save(tmp_path / "r.xlsx")
    put(bucket, "r.xlsx", (tmp_path / "r.xlsx").read_bytes())
    assert rows(f"s3://{BUCKET}/r.xlsx") == [("r.xlsx row 2", 7)]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"s3://{BUCKET}/gone.csv", "there is no such file"),
        (f"s3://{BUCKET}/gone/*.csv", "no file found"),
        ("s3://no-such-bucket/rows.csv", "there is no such file"),
        ("s3://no-such-bucket/*.csv", "no file found"),
    ],
)
def test_what_a_store_does_not_have_is_named(bucket: fs.FileSystem, url: str, said: str) -> None:
    with pytest.raises(DatasetError) as caught:
        Dataset.open(url)
    assert str(caught.value).startswith(f"{url}: {said}")


def test_an_error_names_the_object_and_its_line(bucket: fs.FileSystem) -> None:
    put(bucket, "d/a.csv", b"id,text\n1,\xff\n")
    put(bucket, "d/b.csv.gz", gzip.compress(b"id,text\n1\n"))
    for key, said in (("a.csv", "line 2: not UTF-8"), ("b.csv.gz", "line 2: 1 fields, the header has 2")):
        with pytest.raises(DatasetError) as caught:
            rows(f"s3://{BUCKET}/d/{key}")
        assert f"s3://{BUCKET}/d/{key} {said}" in str(caught.value)


@pytest.mark.parametrize("path", ["d", "d/*.csv", "d/a.csv"])
def test_a_bucket_of_google_cloud_storage(path: str) -> None:
    objects = {"d/b.csv": b"id,text\nb,x\n", "d/a.csv": b"id,text\na,x\n"}
    with gcs_server(objects) as server:
        url = f"gs://anonymous@{BUCKET}/{path}?endpoint_override={server}&scheme=http"
        found = [(row.place, row.values["id"]) for row in Dataset.open(url).rows()]
        with pytest.raises(DatasetError, match="there is no such file"):
            Dataset.open(f"gs://anonymous@{BUCKET}/gone.csv?endpoint_override={server}&scheme=http")
    every = [("gs://rows/d/a.csv line 2", "a"), ("gs://rows/d/b.csv line 2", "b")]
    assert found == (every[:1] if path == "d/a.csv" else every)
