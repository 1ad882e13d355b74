"""Reading what callers send on the less travelled routes, and answering in JSON."""

import hashlib
import json
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from pareta_sandbox.faults.kinds import Fault
from pareta_sandbox.http.errors import ClientGone, Refusal, invalid, wrong_body
from pareta_sandbox.http.idempotency import idempotency_key
from pareta_sandbox.service import Service

LARGEST_JSON = 1024 * 1024
LARGEST_UPLOAD = 100 * 1024 * 1024

STRUCK = "sandbox.struck"
REQUEST_ID = "sandbox.request_id"

Body = TypeVar("Body", bound=BaseModel)


def answer(content: object, status: int = 200) -> Response:
    """Answer in JSON."""
    return Response(json.dumps(content, ensure_ascii=False), status, media_type="application/json")


async def read_bytes(request: Request, limit: int) -> bytes:
    """Read a request body; refuses with 413 above a number of bytes."""
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise Refusal(413, "the request body is too large", {"connection": "close"})
            parts.append(part)
    except ClientDisconnect as left:
        raise ClientGone from left
    return b"".join(parts)


async def read_json(request: Request, model: type[Body]) -> Body:
    """Read a JSON body; refuses with 422 and a list of what is wrong."""
    body = await read_bytes(request, LARGEST_JSON)
    try:
        return model.model_validate_json(body)
    except ValidationError as wrong:
        raise wrong_body(wrong) from wrong


async def read_form(request: Request) -> tuple[dict[str, str], dict[str, bytes]]:
    """Read a multipart body as its fields and its files."""
    kind = request.headers.get("content-type", "")
    if not kind.startswith("multipart/form-data"):
        raise invalid(["header", "content-type"], "multipart/form-data is needed")
    fields: dict[str, str] = {}
    files: dict[str, bytes] = {}
    try:
        async with request.form(max_files=4, max_fields=32) as form:
            for name, value in form.multi_items():
                if isinstance(value, str):
                    fields[name] = value
                else:
                    files[name] = await value.read(LARGEST_UPLOAD)
    except MultiPartException as wrong:
        raise Refusal(400, f"malformed multipart body: {wrong.message}") from wrong
    except ClientDisconnect as left:
        raise ClientGone from left
    return fields, files


def sent_key(request: Request) -> str | None:
    """Return the idempotency key a caller sent."""
    return idempotency_key(request.headers.get("idempotency-key"))


def honoured_key(request: Request, service: Service) -> str | None:
    """Return the idempotency key of a request, when the service honours keys."""
    return sent_key(request) if service.honours_keys else None


def active_faults(request: Request) -> tuple[Fault, ...]:
    """Return the faults that struck a request."""
    found: tuple[Fault, ...] = request.scope.get(STRUCK, ())
    return found


def fingerprint(*parts: object) -> bytes:
    """Return a hash of what a request says."""
    return hashlib.blake2b(repr(parts).encode("utf-8", "replace"), digest_size=16).digest()
