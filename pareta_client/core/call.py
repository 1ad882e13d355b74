"""Calls (logical requests) and the HTTP request of one attempt."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import quote, urlencode

import httpx

from pareta_client.core.request import Headers, Request, Timeouts
from pareta_client.models.record import Record
from pareta_client.settings import CONNECT_SHARE, CONNECT_TIMEOUT, DEFAULT_TIMEOUT, Settings, user_agent

Method = Literal["GET", "POST", "DELETE"]
Json = Any  # any value that json.dumps accepts


@dataclass(frozen=True, slots=True)
class Call:
    """A logical request; all its attempts use the same `idempotency_key`.

    A call that is not `repeatable` is retried only if the service certainly did not process the failed attempt.
    """

    method: Method
    path: str
    content: bytes = b""
    content_type: str | None = None
    idempotency_key: str | None = None
    streamed: bool = False
    repeatable: bool = True


def get(path: str, params: Mapping[str, Any] | None = None) -> Call:
    """Return a GET call; parameters that are None are omitted."""
    query = {name: value for name, value in (params or {}).items() if value is not None}
    return Call("GET", f"{path}?{urlencode(query, doseq=True)}" if query else path)


def delete(path: str) -> Call:
    """Return a DELETE call."""
    return Call("DELETE", path)


def post(path: str, key: str, body: Json = None, *, streamed: bool = False) -> Call:
    """Return a POST call with a JSON body or none; raise TypeError or ValueError if the body is not JSON."""
    if body is None:
        return Call("POST", path, idempotency_key=key, streamed=streamed)
    return Call("POST", path, as_json(body), "application/json", key, streamed)


def post_form(path: str, key: str, fields: Mapping[str, str], name: str, file: tuple[str, bytes, str]) -> Call:
    """Return a POST call with a form of text fields and one file (file name, content, media type)."""
    # Encoded once, because all attempts must have the same boundary.
    form = httpx.Request("POST", "http://form", data=dict(fields), files={name: file})
    return Call("POST", path, form.read(), form.headers["content-type"], key)


def as_json(body: Json) -> bytes:
    """Return compact JSON; a body may contain records of the service."""
    return _ENCODER.encode(body).encode()


def _as_sent(value: object) -> object:
    if isinstance(value, Record):
        return value.to_dict()
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON")


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_as_sent)


def segment(name: str, text: str) -> str:
    """Return a quoted path segment; raise ValueError if it is empty, which would address another resource."""
    if not text:
        raise ValueError(f"{name} is required")
    return quote(text, safe="")


def request_for(call: Call, settings: Settings, seconds_left: float | None) -> Request:
    """Return the request of one attempt; its timeouts end at the deadline."""
    url, host = _address(settings.base_url + call.path)
    return Request(
        call.method,
        url,
        _headers(call, host),
        call.content,
        _timeouts(settings, seconds_left),
        settings.secret,
    )


@lru_cache(maxsize=256)
def _address(text: str) -> tuple[str, str]:
    """Return the normalised URL and the value of the Host header; cached."""
    url = httpx.URL(text)
    return str(url), url.netloc.decode("ascii")


def _headers(call: Call, host: str) -> Headers:
    headers = [*_constant_headers(host, call.streamed, call.content_type)]
    if call.method == "POST":
        headers.append(("Content-Length", str(len(call.content))))
    if call.idempotency_key is not None:
        headers.append(("Idempotency-Key", call.idempotency_key))
    return headers


@lru_cache(maxsize=256)
def _constant_headers(host: str, streamed: bool, content_type: str | None) -> Headers:
    """Return the headers that do not change from call to call; cached."""
    headers = (
        ("Host", host),
        ("Accept", "text/event-stream" if streamed else "application/json"),
        ("Accept-Encoding", "gzip, deflate"),
        ("User-Agent", user_agent()),
    )
    return headers if content_type is None else (*headers, ("Content-Type", content_type))


def attempt_seconds(settings: Settings, seconds_left: float | None) -> float | None:
    """Return the timeout of one attempt in seconds; None if only its phases have timeouts."""
    timeout = settings.options.timeout
    if timeout is None and not settings.leaves_timeout_to_http_client:
        timeout = DEFAULT_TIMEOUT
    seconds = None if isinstance(timeout, httpx.Timeout) else timeout
    if seconds is None or seconds_left is None:
        return seconds_left if seconds is None else seconds
    return min(seconds, seconds_left)


def _timeouts(settings: Settings, seconds_left: float | None) -> Timeouts | None:
    timeout = settings.options.timeout
    if timeout is None and settings.leaves_timeout_to_http_client and seconds_left is None:
        return None
    if isinstance(timeout, httpx.Timeout):
        bounds: Timeouts = timeout.as_dict()
    else:
        bounds = _phases(DEFAULT_TIMEOUT if timeout is None else timeout)
    return bounds if seconds_left is None else _clipped(bounds, seconds_left)


@lru_cache(maxsize=256)
def _phases(seconds: float) -> Timeouts:
    return {
        "connect": min(seconds * CONNECT_SHARE, CONNECT_TIMEOUT),
        "read": seconds,
        "write": seconds,
        "pool": seconds,
    }


def _clipped(bounds: Timeouts, seconds_left: float) -> Timeouts:
    limits = {"connect": seconds_left * CONNECT_SHARE}
    return {
        phase: min(limits.get(phase, seconds_left), seconds_left if bound is None else bound)
        for phase, bound in bounds.items()
    }
