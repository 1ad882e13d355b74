"""From what came over the wire to records and errors; nothing but a ParetaError leaves this module."""

from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar

import httpx
from pydantic import ValidationError

from pareta_client.core.json_reading import Json, read_json
from pareta_client.core.receipt import Receipt, receipt_from_headers
from pareta_client.core.request import Request
from pareta_client.core.steps import Reply
from pareta_client.errors import APIStatusError, MalformedReplyError, OversizedReplyError
from pareta_client.models.record import RawJson, Record
from pareta_client.retry import error_class, parse_http_date, parse_retry_after, redirected

R = TypeVar("R", bound=Record)
M = TypeVar("M", bound=MalformedReplyError)

MOST_OF_AN_ERROR_BODY = 64 * 1024
"""Bytes read of an error's body: enough for any message, and no more than that of a page sent by mistake."""
EXCERPT = 500
LONGEST_ID = 200
"""Characters of a request's id that are kept; raising it lets a gateway fill the ledger with its headers."""
_KEYS_OF_AN_ERROR = {"error", "detail", "message", "code", "request_id"}
_BODY_HEADERS = (b"content-encoding", b"content-length", b"transfer-encoding")


def status_error(reply: Reply, request: Request) -> APIStatusError:
    """Turn an error status into its error, with a copy of the response that does not hold the key."""
    detail = _detail(reply.body)
    message = _shortened(detail, 2_000) if isinstance(detail, str) and detail else f"HTTP {reply.status}"
    if redirected(reply.status):
        message = f"HTTP {reply.status}: redirected to {reply.header(b'location')!r}; is base_url right?"
    return error_class(reply.status)(
        message,
        status_code=reply.status,
        detail=detail,
        request_id=request_id_of(reply),
        response=_keyless_response(reply, request),
        retry_after=parse_retry_after(reply.header(b"retry-after"), _sent_at(reply)),
    )


def _detail(body: bytes) -> Any:
    """Give the `detail` of an error body, or its text if it is not JSON."""
    try:
        content = read_json(body, [])
    except ValueError:
        return body.decode("utf-8", "replace").strip() or None
    return content.get("detail") if isinstance(content, dict) else content


def _keyless_response(reply: Reply, request: Request) -> httpx.Response:
    # Raw, because a header may hold bytes that no text encoding of ours gives back.
    headers = [(name, value) for name, value in reply.headers if name.lower() not in _BODY_HEADERS]
    return httpx.Response(
        reply.status,
        headers=headers,
        content=reply.body,
        request=httpx.Request(request.method, request.url, headers=list(request.headers)),
    )


def _sent_at(reply: Reply) -> datetime:
    """Give the service's own time where it told it: our clock may differ."""
    told = parse_http_date(reply.header(b"date") or "")
    return told or datetime.fromtimestamp(reply.wall, UTC)


def request_id_of(reply: Reply) -> str | None:
    """Return the service's id of the request."""
    return clean_id(reply.header(b"x-request-id"))


def clean_id(text: str | None) -> str | None:
    """Return an id that any file, page or database can hold: printable and of a bounded length."""
    if text is None or (len(text) <= LONGEST_ID and text.isprintable()):
        return text
    return "".join(character for character in text if character.isprintable())[:LONGEST_ID]


def json_of(reply: Reply, notes: list[str] | None = None) -> Json:
    """Read a success's JSON; no body at all (204) is an empty object. Raises MalformedReplyError."""
    if not reply.body:
        return {}
    try:
        return read_json(reply.body, [] if notes is None else notes)
    except ValueError as error:
        malformed(reply, f"is not JSON ({error})")


def object_of(reply: Reply) -> RawJson:
    """Read a success's JSON object; raises MalformedReplyError for anything else, also for nothing but an error."""
    content = json_of(reply)
    if content is None:
        return {}
    if not isinstance(content, dict):
        malformed(reply, f"is a JSON {type(content).__name__}, not an object")
    # Taken for an answer it would be an empty one: a run that never ends, a list without entries.
    if content.get("object") == "error" or (
        content.keys() <= _KEYS_OF_AN_ERROR and (content.get("error") or content.get("detail"))
    ):
        malformed(reply, "is an error")
    return content


def record_of(kind: type[R], reply: Reply, under: str | None = None) -> R:
    """Read one record, which may stand under a key; raises MalformedReplyError."""
    content = object_of(reply)
    if under is not None:
        content = content.get(under) or {}
    return record_from(kind, content, reply)


def records_of(kind: type[R], reply: Reply, under: str | None = None) -> list[R]:
    """Read a list of records, which may stand under a key; raises MalformedReplyError."""
    content = json_of(reply) if under is None else object_of(reply).get(under)
    if not content:
        return []
    if not isinstance(content, list):
        malformed(reply, "holds no list" if under is None else f"holds no list under {under!r}")
    return [record_from(kind, item, reply) for item in content]


def record_from(kind: type[R], content: Json, reply: Reply, notes: list[str] | None = None) -> R:
    """Read a record from JSON that is already decoded; raises MalformedReplyError."""
    try:
        return kind.model_validate(content, context=notes)
    except ValidationError:
        malformed(reply, f"holds no {kind.__name__}")


def malformed(reply: Reply, what: str, receipt: Receipt | None = None) -> NoReturn:
    """Raise the error for a success whose body cannot be used."""
    raise _malformed(MalformedReplyError, reply, what, receipt)


def oversized(reply: Reply, most: int) -> OversizedReplyError:
    """Return the error for a success whose body is larger than `most` bytes."""
    return _malformed(OversizedReplyError, reply, f"is larger than max_reply_bytes={most}", None)


def _malformed(kind: type[M], reply: Reply, what: str, receipt: Receipt | None) -> M:
    text = reply.body[: EXCERPT * 4].decode("utf-8", "replace")
    excerpt = _shortened(text, EXCERPT)
    content_type = reply.header(b"content-type") or "no content type"
    return kind(
        f"HTTP {reply.status} ({content_type}), but the body {what}: {excerpt!r}",
        status_code=reply.status,
        request_id=request_id_of(reply),
        excerpt=excerpt,
        billed_micro_usd=(receipt or receipt_from_headers(reply.own_headers())).billed_micro_usd,
    )


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
