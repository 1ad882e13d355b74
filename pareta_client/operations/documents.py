"""Documents for rows that carry one: small ones inline, large ones streamed to where the service points."""

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

INLINE_BELOW = 5 * 1024 * 1024
"""Bytes from which on a document goes to storage directly."""
STORAGE_TIMEOUT = 600.0


def upload(
    eval_set_id: str, document: Document, idx: int, field_name: str, key: str, settings: Settings
) -> Operation[RawJson]:
    """Attach a document to the blob field of row `idx` (0-based); gives the service's raw answer."""
    path = set_path(eval_set_id)
    place = {"idx": idx, "field_name": field_name, "mime": document.mime}
    if document.size >= INLINE_BELOW:
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
    minted = yield from exchange(
        post(f"{path}/blob-upload-url", f"{key}-url", {**place, "file_size": document.size}), settings
    )
    where = object_of(minted.reply)
    upload_url, storage_uri = where.get("upload_url"), where.get("storage_uri")
    if not isinstance(upload_url, str) or not isinstance(storage_uri, str):
        malformed(minted.reply, "has no upload_url and storage_uri")
    yield from _put(upload_url, document, settings)
    done = yield from exchange(
        post(f"{path}/blob-upload-complete", f"{key}-complete", {**place, "storage_uri": storage_uri}), settings
    )
    return object_of(done.reply)


def _put(url: str, document: Document, settings: Settings) -> Operation[None]:
    """Send the bytes to storage, which is not the service: the key stays here, and the URL is itself a secret."""
    try:
        where = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise UploadError(f"the service gave an upload URL that is none: {error}") from None
    # A phase without progress for this long is a hang; the whole may take as long as the document is large.
    patience = Options(settings.options.max_retries, httpx.Timeout(STORAGE_TIMEOUT), settings.options.deadline)
    storage = Settings(settings.base_url, settings.secret, patience, jitter=settings.jitter, tracing=settings.tracing)

    headers = (
        ("Host", where.netloc.decode("ascii")),
        ("Content-Type", document.mime),
        ("Content-Length", str(document.size)),
    )

    def prepare(left: float | None) -> Request:
        timeouts = httpx.Timeout(min(STORAGE_TIMEOUT, left or STORAGE_TIMEOUT)).as_dict()
        return Request("PUT", str(where), headers, DocumentStream(document), timeouts)

    try:
        yield from attempts_of("PUT", f"//{where.host}", storage, prepare)
    except APIStatusError as error:
        raise UploadError(f"storage refused the document (HTTP {error.status_code}): {error}") from error
