"""Images, PDFs and audio: checked by content, known by hash, read when the row is sent."""

import base64
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pareta_batch.errors import DatasetError
from pareta_batch.rows.attached_files import MAX_FILE_BYTES, FileChanged
from pareta_batch.rows.file_types import IMAGE_TOKENS, PDF_PAGE_TOKENS, media_type_of, pages_of, tokens_at_most
from pareta_batch.rows.identity import idempotency_key
from pareta_batch.rows.message_files import wire_messages
from pareta_batch.rows.requests import RowRequest, row_requests
from tests import files
from tests.batch.batches import batch_in

TEXT = "My invoice is wrong."
PNG, PDF, WAV = files.png(TEXT), files.pdf(TEXT, "page two"), files.wav(TEXT)
JPEG, GIF, WEBP = b"\xff\xd8\xff\xe0" + b"\0" * 20, b"GIF89a" + b"\0" * 20, b"RIFF\0\0\0\0WEBPVP8 "

ATTACH: dict[str, Any] = {"attachments": [{"column": "file"}]}


def requests_of(folder: Path, *values: object, **changes: Any) -> list[RowRequest]:
    rows: list[dict[str, object]] = [{"id": str(n), "file": value} for n, value in enumerate(values)]
    return list(row_requests(batch_in(folder, rows, **{"prompt": "Which team?", **ATTACH, **changes})))


def problem_of(folder: Path, value: object, **changes: Any) -> str:
    with pytest.raises(DatasetError) as caught:
        requests_of(folder, value, **changes)
    (problem,) = caught.value.problems
    return problem


def sent(request: RowRequest) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = wire_messages(request.messages)[-1]["content"]
    return parts


@pytest.mark.parametrize(
    ("name", "content", "media_type"),
    [
        ("a.png", PNG, "image/png"),
        ("a.txt", JPEG, "image/jpeg"),
        ("gif", GIF, "image/gif"),
        ("a.jpg", WEBP, "image/webp"),
    ],
)
def test_an_image_is_sent_as_a_data_url_of_the_type_of_its_content(
    tmp_path: Path, name: str, content: bytes, media_type: str
) -> None:
    files.write(tmp_path / name, content)
    (request,) = requests_of(tmp_path, name)
    encoded = base64.b64encode(content).decode()
    assert sent(request) == [
        {"type": "text", "text": "Which team?"},
        {"type": "image_url", "image_url": {"url": f"data:{media_type};base64,{encoded}"}},
    ]


def test_a_pdf_and_audio_are_sent_as_file_and_input_audio(tmp_path: Path) -> None:
    files.write(tmp_path / "a", PDF)
    files.write(tmp_path / "b", WAV)
    files.write(tmp_path / "c", files.mp3())
    (request,) = requests_of(tmp_path, ["a", "b", "c"])
    encoded = [base64.b64encode(content).decode() for content in (PDF, WAV, files.mp3())]
    assert sent(request)[1:] == [
        {
            "type": "file",
            "file": {"filename": "document.pdf", "file_data": f"data:application/pdf;base64,{encoded[0]}"},
        },
        {"type": "input_audio", "input_audio": {"data": encoded[1], "format": "wav"}},
        {"type": "input_audio", "input_audio": {"data": encoded[2], "format": "mp3"}},
    ]


def test_a_request_refers_to_its_file_and_does_not_hold_it(tmp_path: Path) -> None:
    files.write(tmp_path / "a.png", files.png(TEXT, size=1_000_000))
    (request,) = requests_of(tmp_path, "a.png")
    assert len(repr(request)) < 1_000


def test_the_identity_is_the_content_and_not_the_place(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        files.write(tmp_path / name, PNG)
    files.write(tmp_path / "c.png", files.png("Another text"))
    one, same, other = requests_of(tmp_path, "a.png", "b.png", "c.png")
    assert one.fingerprint == same.fingerprint != other.fingerprint
    (low,) = requests_of(tmp_path, "a.png", attachments=[{"column": "file", "detail": "low"}])
    assert low.fingerprint != one.fingerprint
    assert sent(low)[1]["image_url"]["detail"] == "low"


def test_identities_with_attachments_stay_the_same(tmp_path: Path) -> None:
    for name, content in (("a.jpg", JPEG), ("a.pdf", b"%PDF-1.4 /Type /Page"), ("a.wav", WAV)):
        files.write(tmp_path / name, content)
    found = requests_of(tmp_path, "a.jpg", ["a.pdf", "a.wav"], "https://example.com/a.png")
    assert [request.fingerprint for request in found] == [
        "6995a1c2dc1856c979a59aad63a9ce7cb77ee6f19d7c0f8e341c826a45dcd049",
        "9855ac50dd939d94e5cfc75acb71810d465e2afb8e9d64b3dab44559cdfa7258",
        "4db3f68b19ca24e557f5a97e16048373ad570e1bffc6fa2f0452b534ed5cbc04",
    ]
    assert (
        idempotency_key("test", found[0].key, found[0].fingerprint)
        == "pb1-3f5a010d779ce9fd126394348699220e23009d1f41c665b6c510ce6559d6fade"
    )


def test_a_url_passes_through_and_is_its_own_identity(tmp_path: Path) -> None:
    one, other = requests_of(tmp_path, "https://example.com/a.png", "HTTP://example.com/b.png")
    assert sent(one)[1] == {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    assert one.fingerprint != other.fingerprint
    assert one.prompt_bytes >= IMAGE_TOKENS


@pytest.mark.parametrize(
    ("content", "least"),
    [(PNG, IMAGE_TOKENS), (PDF, 2 * PDF_PAGE_TOKENS), (WAV, len(WAV) // 20)],
)
def test_a_file_counts_in_the_bound_of_the_ceiling(tmp_path: Path, content: bytes, least: int) -> None:
    files.write(tmp_path / "a", content)
    (request,) = requests_of(tmp_path, "a")
    assert request.prompt_bytes >= least
    (twice,) = requests_of(tmp_path, ["a", "a"])
    assert twice.prompt_bytes >= 2 * least


@pytest.mark.parametrize(
    ("pdf", "pages"),
    [
        (files.pdf("a"), 1),
        (files.pdf("a", "b", "c"), 3),
        (b"%PDF-1.7 << /Type /Pages /Count 12 >>", 12),
        (b"%PDF-1.7 << /Type/Page >> << /Type  /Page/Parent 1 0 R >>", 2),
        (b"%PDF-1.7" + b"\0" * 5_000, 6),
    ],
)
def test_pages_are_counted_or_estimated_from_the_size(pdf: bytes, pages: int) -> None:
    assert pages_of(pdf) == pages
    assert tokens_at_most("application/pdf", pdf) == pages * PDF_PAGE_TOKENS


@given(st.binary(max_size=40))
def test_any_bytes_have_a_type_or_none(head: bytes) -> None:
    found = media_type_of(head)
    assert found is None or media_type_of(head + b"more") == found


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("missing.png", "there is no such file"),
        ("", "write a path, a URL, or a list of them"),
        (7, "write a path, a URL, or a list of them"),
        (["a.png", None], "write a path, a URL, or a list of them"),
        ([], "write a path, a URL, or a list of them"),
        ("text.png", "it begins with b'not an image'"),
        ("empty.png", "it is empty"),
        ("large.png", "at most 20,000,000 can be attached"),
        (".", "there is no such file"),
        ("ftp://host/a.png", "ftp:// is not supported; use s3://, gs://, file://"),
        ("data:image/png;base64,@@@", "no valid base64"),
        ("data:image/png;base64,AAAA", "it begins with"),
        ("a\0b", "contains NUL"),
        ("x" * 5_000, "File name too long"),
        (None, "no value for column 'file', which attachments names"),
    ],
)
def test_what_cannot_be_attached_is_refused_with_its_row(tmp_path: Path, value: object, problem: str) -> None:
    files.write(tmp_path / "a.png", PNG)
    files.write(tmp_path / "text.png", b"not an image at all")
    files.write(tmp_path / "empty.png", b"")
    with (tmp_path / "large.png").open("wb") as file:
        file.write(PNG)
        file.truncate(MAX_FILE_BYTES + 1)
    found = problem_of(tmp_path, value)
    assert found.startswith(f"{tmp_path / 'rows.jsonl'} line 1: ")
    assert problem in found


def test_the_files_of_a_row_have_a_limit_together(tmp_path: Path) -> None:
    with (tmp_path / "large.png").open("wb") as file:
        file.write(PNG)
        file.truncate(MAX_FILE_BYTES)
    assert "at most 40,000,000 can be attached to a row" in problem_of(tmp_path, ["large.png"] * 3)


@pytest.mark.parametrize(
    ("kind", "content", "fits"),
    [
        ("image", PNG, True),
        ("pdf", PDF, True),
        ("audio", WAV, True),
        ("image", PDF, False),
        ("pdf", PNG, False),
        ("audio", PNG, False),
    ],
)
def test_a_required_kind_is_checked_by_content(tmp_path: Path, kind: str, content: bytes, fits: bool) -> None:
    files.write(tmp_path / "a.bin", content)
    required = {"attachments": [{"column": "file", "kind": kind}]}
    if fits:
        requests_of(tmp_path, "a.bin", **required)
    else:
        assert "by its content, not" in problem_of(tmp_path, "a.bin", **required)


def test_only_images_are_sent_as_a_url(tmp_path: Path) -> None:
    required = {"attachments": [{"column": "file", "kind": "pdf"}]}
    assert "only images are sent as a URL" in problem_of(tmp_path, "https://example.com/a.pdf", **required)


def test_an_optional_attachment_may_be_missing(tmp_path: Path) -> None:
    (request,) = requests_of(tmp_path, None, attachments=[{"column": "file", "optional": True}])
    assert request.messages == ({"role": "user", "content": "Which team?"},)


@pytest.mark.parametrize("attachment", [{}, {"column": "a", "path": "b"}, {"column": "a", "kind": "video"}])
def test_an_attachment_has_one_source_and_a_known_kind(tmp_path: Path, attachment: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        batch_in(tmp_path, attachments=[attachment])


def test_a_column_that_the_dataset_does_not_have_is_named(tmp_path: Path) -> None:
    assert problem_of(tmp_path, "x", attachments=[{"column": "picture"}]).endswith(
        "has no column 'picture'; it has: id, file (named in attachments)"
    )


def test_messages_mix_texts_and_attachments(tmp_path: Path) -> None:
    files.write(tmp_path / "a.png", PNG)
    manual = files.write(tmp_path / "manual.pdf", PDF)
    content = [{"text": "Page of {id}:"}, {"path": str(manual)}, {"text": "Picture:"}, {"column": "file"}]
    (request,) = requests_of(
        tmp_path, "a.png", prompt=None, attachments=[], messages=[{"role": "user", "content": content}]
    )
    assert [part["type"] for part in sent(request)] == ["text", "file", "text", "image_url"]
    assert sent(request)[0]["text"] == "Page of 0:"


def test_only_messages_of_the_user_have_attachments(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="only user messages have a list"):
        batch_in(tmp_path, prompt=None, messages=[{"role": "system", "content": [{"column": "text"}]}])


def test_attachments_join_the_last_message_of_a_history(tmp_path: Path) -> None:
    files.write(tmp_path / "a.png", PNG)
    chat = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": "See"},
    ]
    rows: list[dict[str, object]] = [{"id": "a", "chat": chat, "file": "a.png"}]
    (request,) = row_requests(batch_in(tmp_path, rows, prompt=None, messages_column="chat", **ATTACH))
    assert request.messages[:2] == (chat[0], chat[1])
    assert [part["type"] for part in sent(request)] == ["text", "image_url"]


def data_url(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        ({"type": "image_url", "image_url": {"url": data_url("image/png", PNG)}}, None),
        ({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}, None),
        ({"type": "file", "file": {"file_data": data_url("application/pdf", PDF)}}, None),
        ({"type": "input_audio", "input_audio": {"data": base64.b64encode(WAV).decode(), "format": "wav"}}, None),
        ({"type": "image_url", "image_url": {"url": data_url("image/png", PDF)}}, "a PDF by its content"),
        ({"type": "image_url", "image_url": {"url": "a.png"}}, "use http, https, or a data URL"),
        ({"type": "file", "file": {"file_data": data_url("application/pdf", PNG)}}, "an image (PNG"),
        ({"type": "file", "file": {"file_id": "file-1"}}, "an object with file_data"),
        ({"type": "input_audio", "input_audio": {"data": "@", "format": "wav"}}, "no valid base64"),
        ({"type": "input_audio", "input_audio": {"data": base64.b64encode(WAV).decode()}}, "its format is None"),
        ({"type": "pareta_file", "path": "/etc/passwd"}, "has the type 'pareta_file'"),
    ],
)
def test_parts_of_a_history_are_checked_by_content(tmp_path: Path, part: dict[str, Any], problem: str | None) -> None:
    rows: list[dict[str, object]] = [{"id": "a", "chat": [{"role": "user", "content": [part]}]}]
    batch = batch_in(tmp_path, rows, prompt=None, messages_column="chat")
    if problem is None:
        (request,) = row_requests(batch)
        assert wire_messages(request.messages)[0]["content"] == [part]
        assert request.prompt_bytes >= (IMAGE_TOKENS if part["type"] != "input_audio" else len(WAV))
        return
    with pytest.raises(DatasetError) as caught:
        list(row_requests(batch))
    assert problem in caught.value.problems[0]


def test_relative_paths_begin_at_the_dataset_or_at_the_files_folder(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    files.write(inner / "a.png", PNG)
    requests_of(inner, "a.png")
    requests_of(tmp_path, "inner/a.png", (inner / "a.png").as_uri(), str(inner / "a.png"))
    requests_of(tmp_path, "a.png", files_folder=str(inner))
    assert "there is no such file" in problem_of(tmp_path, "a.png")


@pytest.mark.parametrize("name", ["../outside.png", "link.png", "{outside}"])
def test_no_file_outside_of_the_files_folder_is_attached(tmp_path: Path, name: str) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    outside = files.write(tmp_path / "outside.png", PNG)
    (inner / "link.png").symlink_to(outside)
    found = problem_of(tmp_path, name.format(outside=outside), files_folder=str(inner))
    assert "is outside of" in found


def _edit(path: Path) -> None:
    path.write_bytes(files.png("Another text!"[: len(TEXT)].ljust(len(TEXT))))


@pytest.mark.parametrize("change", [_edit, Path.unlink, lambda path: path.write_bytes(PNG + b"x")])
def test_a_file_that_changed_since_registering_is_not_sent(tmp_path: Path, change: Callable[[Path], object]) -> None:
    path = files.write(tmp_path / "a.png", PNG)
    (request,) = requests_of(tmp_path, "a.png")
    change(path)
    with pytest.raises(FileChanged, match="nothing was sent"):
        wire_messages(request.messages)


def test_hashes_are_those_of_the_content(tmp_path: Path) -> None:
    files.write(tmp_path / "a.png", PNG)
    (request,) = requests_of(tmp_path, "a.png")
    (reference,) = request.messages[0]["content"][1:]
    assert reference["sha256"] == hashlib.sha256(PNG).hexdigest()
    shutil.copy(tmp_path / "a.png", tmp_path / "b.png")
    assert requests_of(tmp_path, "b.png")[0].options != request.options
