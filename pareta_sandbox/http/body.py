"""Request bodies and JSON replies of every route but chat completions."""

import hashlib
import json
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from pareta_sandbox.faults.kinds import Fault
from pareta_sandbox.http.errors import ClientGone, Refusal, invalid, invalid_body
from pareta_sandbox.http.exchange import read_body
from pareta_sandbox.http.idempotency import idempotency_key
from pareta_sandbox.service import Service

MAX_JSON_BYTES = 1024 * 1024
MAX_FILE_BYTES = 100 * 1024 * 1024

# Keys in the ASGI scope.
ACTIVE_FAULTS = "sandbox.active_faults"
REQUEST_ID = "sandbox.request_id"

Body = TypeVar("Body", bound=BaseModel)


def answer(content: object, status: int = 200) -> Response:
    """Return a JSON response."""
    return Response(json.dumps(content, ensure_ascii=False), status, media_type="application/json")


async def read_json(request: Request, model: type[Body]) -> Body:
    """Read a JSON body; refuse it with 422 and a list of validation errors."""
    body = await read_body(request.receive, MAX_JSON_BYTES)
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise invalid_body(error) from error


async def read_form(request: Request) -> tuple[dict[str, str], dict[str, bytes]]:
    """Read a multipart body and return its fields and its files."""
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
                    files[name] = await value.read(MAX_FILE_BYTES)
    except MultiPartException as error:
        raise Refusal(400, f"malformed multipart body: {error.message}") from error
    except ClientDisconnect as error:
        raise ClientGone from error
    return fields, files


def sent_key(request: Request) -> str | None:
    """Return the idempotency key of a request."""
    return idempotency_key(request.headers.get("idempotency-key"))


def honoured_key(request: Request, service: Service) -> str | None:
    """Return the idempotency key of a request, or None if the service ignores keys."""
    return sent_key(request) if service.honours_keys else None


def active_faults(request: Request) -> tuple[Fault, ...]:
    """Return the faults that apply to a request."""
    found: tuple[Fault, ...] = request.scope.get(ACTIVE_FAULTS, ())
    return found


def fingerprint(*parts: object) -> bytes:
    """Return a hash of the content of a request."""
    return hashlib.blake2b(repr(parts).encode("utf-8", "replace"), digest_size=16).digest()
