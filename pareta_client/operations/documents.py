"""Upload of documents: small ones in a form, large ones streamed to the storage URL of the service."""

from typing import Any

import httpx

from pareta_client.core import (
    Document,
    DocumentStream,
    Operation,
    Request,
    attempts_of,
    exchange,
    malformed,
    object_of,
    post,
    post_form,
)
from pareta_client.errors import APIStatusError, UploadError
from pareta_client.models.record import RawJson
from pareta_client.operations.eval_sets import set_path
from pareta_client.settings import Options, Settings

INLINE_LIMIT_BYTES = 5 * 1024 * 1024
"""Documents of at least this size are streamed to storage; raising it reads larger documents into memory."""
STORAGE_TIMEOUT_S = 600.0
"""Seconds without progress before an upload fails; raising it detects a hang later."""


def upload(
    eval_set_id: str, document: Document, idx: int, field_name: str, key: str, settings: Settings
) -> Operation[RawJson]:
    """Attach a document to the blob field of row `idx` (0-based); return the raw reply."""
    path = set_path(eval_set_id)
    place = {"idx": idx, "field_name": field_name, "mime": document.mime}
    if document.size >= INLINE_LIMIT_BYTES:
        return _through_storage(path, place, document, key, settings)
    return _inline(path, place, document, key, settings)


def _inline(path: str, place: dict[str, Any], document: Document, key: str, settings: Settings) -> Operation[RawJson]:
    fields = {name: str(value) for name, value in place.items()}
    file = (document.name, document.read(), document.mime)
    answer = yield from exchange(post_form(f"{path}/attach-blob", key, fields, "file", file), settings)
    return object_of(answer.reply)


def _through_storage(
    path: str, place: dict[str, Any], document: Document, key: str, settings: Settings
) -> Operation[RawJson]:
    created = yield from exchange(
        post(f"{path}/blob-upload-url", f"{key}-url", {**place, "file_size": document.size}), settings
    )
    location = object_of(created.reply)
    upload_url, storage_uri = location.get("upload_url"), location.get("storage_uri")
    if not isinstance(upload_url, str) or not isinstance(storage_uri, str):
        malformed(created.reply, "has no upload_url and storage_uri")
    yield from _put(upload_url, document, settings)
    done = yield from exchange(
        post(f"{path}/blob-upload-complete", f"{key}-complete", {**place, "storage_uri": storage_uri}), settings
    )
    return object_of(done.reply)


def _put(url: str, document: Document, settings: Settings) -> Operation[None]:
    """Send the document to storage without the API key; the URL itself is a secret."""
    try:
        target = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise UploadError(f"invalid upload URL in the reply: {error}") from None
    # No total timeout: the duration depends on the size of the document.
    options = Options(settings.options.max_retries, httpx.Timeout(STORAGE_TIMEOUT_S), settings.options.deadline)
    storage = Settings(settings.base_url, settings.secret, options, jitter=settings.jitter, tracing=settings.tracing)

    headers = (
        ("Host", target.netloc.decode("ascii")),
        ("Content-Type", document.mime),
        ("Content-Length", str(document.size)),
    )

    def prepare(left: float | None) -> Request:
        timeouts = httpx.Timeout(min(STORAGE_TIMEOUT_S, left or STORAGE_TIMEOUT_S)).as_dict()
        return Request("PUT", str(target), headers, DocumentStream(document), timeouts)

    try:
        yield from attempts_of("PUT", f"//{target.host}", storage, prepare)
    except APIStatusError as error:
        raise UploadError(f"storage refused the document (HTTP {error.status_code}): {error}") from error
