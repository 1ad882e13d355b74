"""Images, PDFs and audio of an object store: found, sent and confined as files of this machine are."""

from pathlib import Path
from typing import Any

import pytest
from pyarrow import fs

from pareta_batch.errors import DatasetError
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.rows.attached_files import FileChanged
from pareta_batch.rows.attached_places import resolved, root_of
from pareta_batch.rows.message_files import wire_messages
from pareta_batch.rows.requests import row_requests
from pareta_batch.spec import Batch
from pareta_sandbox.testing import Sandbox
from tests import files
from tests.batch.batches import batch_in, read_answers, run
from tests.batch.google_storage import gcs_server

pytest.importorskip("moto")
pytest.importorskip("flask_cors")

from tests.batch.object_store import BUCKET, put

URL = f"s3://{BUCKET}"


def tickets(store: fs.FileSystem, count: int = 3) -> None:
    """Put pictures, and a dataset of their names, into a bucket."""
    for number in range(count):
        put(store, f"in/scans/{number}.png", files.png(f"My invoice number {number} is wrong."))
    lines = [f'{{"id": "r{number}", "scan": "scans/{number}.png"}}\n' for number in range(count)]
    put(store, "in/rows.jsonl", "".join(lines).encode())


def batch_on(folder: Path, dataset: str, **changes: Any) -> Batch:
    given = {"prompt": "Which team?", "attachments": [{"column": "scan"}], **changes}
    return batch_in(folder, dataset=dataset, **given)


@pytest.mark.parametrize("dataset", ["in/rows.jsonl", "in", "in/*.jsonl"])
async def test_files_beside_a_stored_dataset_are_sent(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, bucket: fs.FileSystem, dataset: str
) -> None:
    tickets(bucket)
    batch = batch_on(tmp_path, f"{URL}/in/*.jsonl" if dataset == "in" else f"{URL}/{dataset}")
    report = await run(batch, sandbox, ledger)
    assert (report.status, report.settled) == ("completed", 3)
    assert [row["answer"] for row in read_answers(batch)] == ["billing"] * 3
    sandbox.debited_once()


def test_a_file_is_the_same_work_wherever_it_is(tmp_path: Path, bucket: fs.FileSystem) -> None:
    content = files.png("My invoice is wrong.")
    put(bucket, "a.png", content)
    files.write(tmp_path / "a.png", content)
    rows: list[dict[str, object]] = [
        {"id": str(n), "scan": place}
        for n, place in enumerate((f"{URL}/a.png", f"s3a://{BUCKET}/a.png", "a.png", (tmp_path / "a.png").as_uri()))
    ]
    found = list(row_requests(batch_in(tmp_path, rows, prompt="Which team?", attachments=[{"column": "scan"}])))
    assert len({each.fingerprint for each in found}) == 1
    assert len({str(wire_messages(each.messages)) for each in found}) == 1
    assert "s3://" in repr(found[0].messages)
    assert len(repr(found[0])) < 1_000, "the request refers to its file"


def test_a_stored_file_of_the_spec_is_attached_to_every_row(tmp_path: Path, bucket: fs.FileSystem) -> None:
    put(bucket, "guide.pdf", files.pdf("How to route tickets"))
    (request,) = row_requests(batch_in(tmp_path, 1, attachments=[{"path": f"{URL}/guide.pdf", "kind": "pdf"}]))
    assert wire_messages(request.messages)[-1]["content"][1]["type"] == "file"


@pytest.mark.parametrize("change", ["gone", "same size", "larger"])
async def test_a_stored_file_that_changed_fails_its_row_unpaid(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, bucket: fs.FileSystem, change: str
) -> None:
    tickets(bucket, 1)
    content = files.png("My invoice number 0 is wrong.")
    (request,) = row_requests(batch_on(tmp_path, f"{URL}/in/rows.jsonl"))
    if change == "gone":
        bucket.delete_file(f"{BUCKET}/in/scans/0.png")
    else:
        put(bucket, "in/scans/0.png", content[::-1] if change == "same size" else content + b"more")
    with pytest.raises(FileChanged, match=rf"file '{URL}/in/scans/0.png'.*; nothing was sent"):
        wire_messages(request.messages)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (f"{URL}/gone.png", f"file '{URL}/gone.png': there is no such file"),
        ("gone.png", f"file '{URL}/in/gone.png': there is no such file"),
        (f"{URL}/text.png", "it begins with b'text'; attach"),
        (f"{URL}/empty.png", "it is empty"),
        (f"s3://AKIA:geheim@{BUCKET}/a.png", "URL with credentials; remove them"),
        ("ftp://host/a.png", "ftp:// is not supported; use s3://, gs://, file:// or a path of this machine"),
        ("s3://no-such-bucket/a.png", "file 's3://no-such-bucket/a.png': there is no such file"),
    ],
)
def test_a_stored_file_that_cannot_be_attached_is_named_before_anything_is_sent(
    tmp_path: Path, bucket: fs.FileSystem, value: str, problem: str
) -> None:
    put(bucket, "text.png", b"text")
    put(bucket, "empty.png", b"")
    put(bucket, "in/rows.csv", f"id,scan\n1,{value}\n".encode())
    with pytest.raises(DatasetError) as refused:
        list(row_requests(batch_on(tmp_path, f"{URL}/in/rows.csv")))
    assert problem in str(refused.value)
    assert f"{URL}/in/rows.csv line 2" in str(refused.value)
    assert "geheim" not in str(refused.value)


def test_a_file_of_google_cloud_storage_is_attached(tmp_path: Path) -> None:
    content = files.png("My invoice is wrong.")
    with gcs_server({"in/a.png": content}) as server:
        place = f"gs://anonymous@{BUCKET}/in/a.png?endpoint_override={server}&scheme=http"
        rows: list[dict[str, object]] = [{"id": "1", "scan": place}]
        (found,) = row_requests(batch_in(tmp_path, rows, prompt="Which team?", attachments=[{"column": "scan"}]))
        assert wire_messages(found.messages)[-1]["content"][1]["type"] == "image_url"


INSIDE = [
    ("a.png", "s3://b/in", "s3://b/in/a.png"),
    ("sub/../a.png", "s3://b/in/", "s3://b/in/a.png"),
    ("s3://b/in/x/a.png", "s3://b/in", "s3://b/in/x/a.png"),
    ("S3A://b/in/a.png", "s3://b/in", "s3://b/in/a.png"),
]
OUTSIDE = [
    ("../a.png", "s3://b/in"),
    ("../../other/a.png", "s3://b/in"),
    ("s3://b/input/a.png", "s3://b/in"),
    ("s3://b/in/../secret.png", "s3://b/in"),
    ("s3://other/in/a.png", "s3://b/in"),
    ("gs://b/in/a.png", "s3://b/in"),
    ("s3://b/in/a.png?endpoint_override=evil:80", "s3://b/in"),
    ("file:///etc/hostname", "s3://b/in"),
    ("s3://b/in/a.png", "/data"),
    ("/etc/hostname", "/data"),
]


@pytest.mark.parametrize(("place", "folder", "url"), INSIDE)
def test_a_place_in_the_files_folder_of_a_store_is_resolved(place: str, folder: str, url: str) -> None:
    assert resolved(place, root_of(folder), root_of(folder)) == url


@pytest.mark.parametrize(("place", "folder"), OUTSIDE)
def test_a_place_outside_of_the_files_folder_is_refused(place: str, folder: str) -> None:
    with pytest.raises(ValueError, match=r"is outside of .*, the folder for attachments"):
        resolved(place, root_of(folder), root_of(folder))


async def test_documents_of_a_comparison_may_be_stored(tmp_path: Path, bucket: fs.FileSystem) -> None:
    from pareta_evals.rows import read_eval_rows

    put(bucket, "in/a.pdf", files.pdf("MIT License"))
    put(bucket, "in/rows.jsonl", b'{"input": {"file": "a.pdf"}, "expected": "MIT"}\n')
    found = read_eval_rows(f"{URL}/in/rows.jsonl", document_fields=("file",))
    assert [each.path for each in found.documents] == [f"{URL}/in/a.pdf"]
