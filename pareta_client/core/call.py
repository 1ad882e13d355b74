"""One logical request, before it is sent: what is asked, and the request that asks it."""

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
Json = Any  # what json.dumps takes


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked of the service; `idempotency_key` stays the same on each of its attempts.

    A call that is not `repeatable` is tried again only if the service certainly did nothing for it.
    """

    method: Method
    path: str
    content: bytes = b""
    content_type: str | None = None
    idempotency_key: str | None = None
    streamed: bool = False
    repeatable: bool = True


def get(path: str, params: Mapping[str, Any] | None = None) -> Call:
    """Ask for something; parameters that are None are left out."""
    given = {name: value for name, value in (params or {}).items() if value is not None}
    return Call("GET", f"{path}?{urlencode(given, doseq=True)}" if given else path)


def delete(path: str) -> Call:
    """Ask to delete something."""
    return Call("DELETE", path)


def post(path: str, key: str, body: Json = None, *, streamed: bool = False) -> Call:
    """Send JSON, or nothing; raises TypeError or ValueError for what JSON cannot say."""
    if body is None:
        return Call("POST", path, idempotency_key=key, streamed=streamed)
    return Call("POST", path, as_json(body), "application/json", key, streamed)


def post_form(path: str, key: str, fields: Mapping[str, str], name: str, file: tuple[str, bytes, str]) -> Call:
    """Send a form with one file: (file name, content, media type)."""
    # httpx is the encoder; the boundary must be the same on each attempt, so the body is built once, here.
    form = httpx.Request("POST", "http://form", data=dict(fields), files={name: file})
    return Call("POST", path, form.read(), form.headers["content-type"], key)


def as_json(body: Json) -> bytes:
    """Encode as compact JSON; answers of the service may stand in the body as they are."""
    return _ENCODER.encode(body).encode()


def _as_sent(value: object) -> object:
    if isinstance(value, Record):
        return value.to_dict()
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON")


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_as_sent)


def segment(name: str, text: str) -> str:
    """Quote one segment of a path; raises ValueError for an empty one, which would address something else."""
    if not text:
        raise ValueError(f"{name} is required")
    return quote(text, safe="")


def request_for(call: Call, settings: Settings, seconds_left: float | None) -> Request:
    """Prepare an attempt, whose timeouts end with the deadline."""
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
    """Normalise a URL, once; gives also what goes into the Host header."""
    url = httpx.URL(text)
    return str(url), url.netloc.decode("ascii")


def _headers(call: Call, host: str) -> Headers:
    headers = [*_standing_headers(host, call.streamed, call.content_type)]
    if call.method == "POST":
        headers.append(("Content-Length", str(len(call.content))))
    if call.idempotency_key is not None:
        headers.append(("Idempotency-Key", call.idempotency_key))
    return headers


@lru_cache(maxsize=256)
def _standing_headers(host: str, streamed: bool, content_type: str | None) -> Headers:
    """Give the headers that are the same on one call after the other."""
    headers = (
        ("Host", host),
        ("Accept", "text/event-stream" if streamed else "application/json"),
        ("Accept-Encoding", "gzip, deflate"),
        ("User-Agent", user_agent()),
    )
    return headers if content_type is None else (*headers, ("Content-Type", content_type))


def attempt_seconds(settings: Settings, seconds_left: float | None) -> float | None:
    """Give how long one attempt may take in all; None if only its phases are bounded."""
    timeout = settings.options.timeout
    if timeout is None and not settings.leaves_timeout_to_http_client:
        timeout = DEFAULT_TIMEOUT
    bounds = [bound for bound in (timeout, seconds_left) if isinstance(bound, int | float)]
    return min(bounds, default=None)


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
    most = {"connect": seconds_left * CONNECT_SHARE}
    return {
        phase: min(most.get(phase, seconds_left), seconds_left if bound is None else bound)
        for phase, bound in bounds.items()
    }
