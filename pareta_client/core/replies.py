"""Conversion of replies into records and errors; every function raises only ParetaError."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NoReturn, TypeVar

import httpx
from pydantic import ValidationError

from pareta_client.core.json_reading import Json, read_json
from pareta_client.core.receipt import Receipt, receipt_from_headers
from pareta_client.core.request import Request
from pareta_client.core.steps import Reply
from pareta_client.errors import APIStatusError, MalformedReplyError, OversizedReplyError
from pareta_client.models.record import RawJson, Record
from pareta_client.retry import error_class_of, parse_http_date, parse_retry_after, redirected

R = TypeVar("R", bound=Record)
M = TypeVar("M", bound=MalformedReplyError)

MAX_ERROR_BODY_BYTES = 64 * 1024
"""Bytes read of an error body; raising it costs memory if a server sends a large page instead of a message."""
EXCERPT_CHARACTERS = 500
"""Characters of a body that an error quotes; raising it makes log lines longer."""
MAX_ID_CHARACTERS = 200
"""Characters of a request id that are kept; raising it lets a gateway's headers take more space in the ledger."""
_REASONS = ("error", "message", "msg", "error_description", "title")
_ERROR_FIELDS = {"error", "detail", "message", "code", "request_id"}
_BODY_HEADERS = (b"content-encoding", b"content-length", b"transfer-encoding")


def status_error(reply: Reply, request: Request) -> APIStatusError:
    """Return the error of an error status, with a copy of the response without the API key."""
    content = _error_content(reply.body)
    detail = content.get("detail") if isinstance(content, dict) else content
    message = _shortened(detail, 2_000) if isinstance(detail, str) and detail else f"HTTP {reply.status}"
    if detail is None and (reason := _reason_of(content)):
        message = f"{message}: {_shortened(reason, 2_000)}"
    if redirected(reply.status):
        message = f"HTTP {reply.status}: redirected to {reply.header(b'location')!r}; check base_url"
    return error_class_of(reply.status, _codes_of(content))(
        message,
        status_code=reply.status,
        detail=detail,
        request_id=request_id_of(reply),
        response=_keyless_response(reply, request),
        retry_after=parse_retry_after(reply.header(b"retry-after"), _sent_at(reply)),
    )


def _error_content(body: bytes) -> Json:
    """Return the JSON of an error body, or its text if it is not JSON."""
    try:
        return read_json(body, [])
    except ValueError:
        return body.decode("utf-8", "replace").strip() or None


def _reason_of(content: Json) -> str | None:
    """Return the reason of an error in OpenAI's format, or in a similar one."""
    while isinstance(content, dict):
        content = next((content[name] for name in _REASONS if content.get(name)), None)
    return content if isinstance(content, str) else None


def _codes_of(content: Json) -> Iterator[str]:
    """Yield the error codes of a body in OpenAI's format, or in a similar one."""
    if not isinstance(content, dict):
        return
    for place in (content, content.get("error"), content.get("detail")):
        values = [place.get("code"), place.get("type")] if isinstance(place, dict) else [place]
        yield from (value for value in values if isinstance(value, str))


def _keyless_response(reply: Reply, request: Request) -> httpx.Response:
    # Raw bytes, because a header may not be valid in any text encoding.
    headers = [(name, value) for name, value in reply.headers if name.lower() not in _BODY_HEADERS]
    return httpx.Response(
        reply.status,
        headers=headers,
        content=reply.body,
        request=httpx.Request(request.method, request.url, headers=list(request.headers)),
    )


def _sent_at(reply: Reply) -> datetime:
    """Return the `Date` header, or the local time without it: the clocks may differ."""
    return parse_http_date(reply.header(b"date") or "") or datetime.fromtimestamp(reply.wall, UTC)


def request_id_of(reply: Reply) -> str | None:
    """Return the request id of the service."""
    return clean_id(reply.header(b"x-request-id"))


def clean_id(text: str | None) -> str | None:
    """Return the id with printable characters only, cut at MAX_ID_CHARACTERS."""
    if text is None or (len(text) <= MAX_ID_CHARACTERS and text.isprintable()):
        return text
    return "".join(character for character in text if character.isprintable())[:MAX_ID_CHARACTERS]


def json_of(reply: Reply, notes: list[str] | None = None) -> Json:
    """Return the JSON of a successful reply; an empty body (204) is an empty object. Raises MalformedReplyError."""
    if not reply.body:
        return {}
    try:
        return read_json(reply.body, [] if notes is None else notes)
    except ValueError as error:
        malformed(reply, f"is not JSON ({error})")


def object_of(reply: Reply) -> RawJson:
    """Return the JSON object of a successful reply; raise MalformedReplyError for other JSON and error objects."""
    content = json_of(reply)
    if content is None:
        return {}
    if not isinstance(content, dict):
        malformed(reply, f"is a JSON {type(content).__name__}, not an object")
    # As a record, an error object would be an empty one: a run that never ends, a list without entries.
    if content.get("object") == "error" or (
        content.keys() <= _ERROR_FIELDS and (content.get("error") or content.get("detail"))
    ):
        malformed(reply, "is an error")
    return content


def record_of(kind: type[R], reply: Reply, under: str | None = None) -> R:
    """Return one record, optionally the value of the key `under`; raise MalformedReplyError if it is missing."""
    content = object_of(reply)
    if under is not None:
        content = content.get(under) or {}
    return record_from(kind, content, reply)


def records_of(kind: type[R], reply: Reply, under: str | None = None) -> list[R]:
    """Return a list of records, optionally the value of the key `under`; raise MalformedReplyError for other JSON."""
    content = json_of(reply) if under is None else object_of(reply).get(under)
    if not content:
        return []
    if not isinstance(content, list):
        malformed(reply, "is not a list" if under is None else f"has no list {under!r}")
    return [record_from(kind, item, reply) for item in content]


def record_from(kind: type[R], content: Json, reply: Reply, notes: list[str] | None = None) -> R:
    """Return a record from decoded JSON; raise MalformedReplyError if it is not an object."""
    try:
        return kind.model_validate(content, context=notes)
    except ValidationError:
        malformed(reply, f"is not a {kind.__name__}")


def malformed(reply: Reply, problem: str, receipt: Receipt | None = None) -> NoReturn:
    """Raise MalformedReplyError for a successful reply with an invalid body."""
    raise _malformed(MalformedReplyError, reply, problem, receipt)


def oversized(reply: Reply, max_bytes: int) -> OversizedReplyError:
    """Return the error for a successful reply with a body larger than `max_bytes`."""
    return _malformed(OversizedReplyError, reply, f"is larger than max_reply_bytes={max_bytes}", None)


def _malformed(kind: type[M], reply: Reply, problem: str, receipt: Receipt | None) -> M:
    text = reply.body[: EXCERPT_CHARACTERS * 4].decode("utf-8", "replace")
    excerpt = _shortened(text, EXCERPT_CHARACTERS)
    content_type = reply.header(b"content-type") or "no content type"
    return kind(
        f"HTTP {reply.status} ({content_type}), but the body {problem}: {excerpt!r}",
        status_code=reply.status,
        request_id=request_id_of(reply),
        excerpt=excerpt,
        billed_micro_usd=(receipt or receipt_from_headers(reply.own_headers())).billed_micro_usd,
    )


def _shortened(text: str, max_characters: int) -> str:
    return text if len(text) <= max_characters else text[: max_characters - 1] + "…"
