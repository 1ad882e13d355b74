"""Documents of eval rows: checked and hashed before anything is paid, uploaded to the eval set one by one."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pareta_batch import (
    MAX_PROBLEMS_SHOWN,
    Attacher,
    DatasetError,
    Row,
    content_of,
    digest,
    fan_out,
    is_stored,
)
from pareta_client import AsyncPareta

MAX_UPLOADS = 8
"""Uploads at once; higher is faster, and holds more documents in memory."""


@dataclass(frozen=True)
class RowDocument:
    """The document in a field of one row's input."""

    idx: int
    field: str
    path: str
    media_type: str
    sha256: str


def with_documents(
    rows: Sequence[Row], fields: Sequence[str], attacher: Attacher
) -> tuple[list[Row], tuple[RowDocument, ...]]:
    """Return the rows with a hash in place of each document's path, and the documents.

    Raises DatasetError, with all problems, for a missing path, a missing file, or a wrong type or size.
    """
    documents: list[RowDocument] = []
    problems: list[str] = []
    found: list[Row] = []
    for row in rows if fields else ():
        try:
            own = _documents(row, fields, attacher)
        except ValueError as problem:
            problems.append(f"{row.place}: {problem}")
            continue
        given = row.values["input"]
        hashes = {each.field: f"sha256:{each.sha256}" for each in own}
        found.append(
            replace(row, values={**row.values, "input": {**(given if isinstance(given, dict) else {}), **hashes}})
        )
        documents += own
    if problems:
        raise DatasetError(problems[:MAX_PROBLEMS_SHOWN], len(problems))
    return (found, tuple(documents)) if fields else (list(rows), ())


def _documents(row: Row, fields: Sequence[str], attacher: Attacher) -> list[RowDocument]:
    given = row.values.get("input")
    found = []
    for field in fields:
        path = given.get(field) if isinstance(given, dict) else None
        if not isinstance(path, str) or not path:
            raise ValueError(f"no path in the field {field!r} of the input, which document_fields names")
        part = attacher.file(path)
        found.append(RowDocument(row.position, field, part["path"], part["media_type"], part["sha256"]))
    return found


async def upload_documents(pareta: AsyncPareta, eval_set_id: str, key: str, documents: Sequence[RowDocument]) -> None:
    """Attach the documents to the rows of an eval set; repeating it changes nothing. Raises ParetaError."""

    async def upload(document: RowDocument) -> None:
        stored = await asyncio.to_thread(content_of, document.path) if is_stored(document.path) else None
        await pareta.evals.sets.upload_document(
            eval_set_id,
            document.path if stored is None else stored,
            idx=document.idx,
            field_name=document.field,
            mime=document.media_type,
            idempotency_key=digest(["document/1", key, document.idx, document.field, document.sha256]),
        )

    await fan_out(documents, upload, workers=MAX_UPLOADS)
