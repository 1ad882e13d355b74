"""Arbitrary replies through both clients over real sockets: one outcome each, and the same one."""

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as some

from pareta_client import AsyncPareta, Pareta, ParetaError
from tests.client.playing import KEY
from tests.client.servers import COMPLETION, Conversation, serving
from tests.examples import share_of

MESSAGES = [{"role": "user", "content": "hello"}]
STREAM = (
    b'data: {"choices": [{"index": 0, "delta": {"content": "a"}}]}\n\n: pareta-billed-micro-usd 7\n\ndata: [DONE]\n\n'
)
CODINGS: dict[bytes, Callable[[bytes], bytes]] = {
    b"": bytes,
    b"gzip": gzip.compress,
    b"deflate": zlib.compress,
    b"br": bytes,
    b"gzip, gzip": bytes,
}

bodies = (
    some.sampled_from([COMPLETION, STREAM, b"null", b"", b"{}", COMPLETION + b"\x00", b"[" * 300, STREAM[:70]])
    | some.binary(max_size=60)
    | some.tuples(some.sampled_from([COMPLETION, STREAM]), some.integers(0, 80), some.binary(max_size=3)).map(
        lambda cut: cut[0][: cut[1]] + cut[2] + cut[0][cut[1] :]
    )
)
headers = some.lists(
    some.tuples(
        some.sampled_from([b"x-pareta-billed", b"x-request-id", b"retry-after", b"content-type", b"date"]),
        some.sampled_from([b"42", b"42.0", b"abc", b"", b"\xff", b"text/event-stream", b"application/json", b"9" * 30]),
    ),
    max_size=3,
)


@some.composite
def replies(draw: some.DrawFn) -> bytes:
    status, body = draw(some.sampled_from([200, 200, 200, 202, 204, 302, 400, 402, 429, 500, 999])), draw(bodies)
    coding = draw(some.sampled_from(sorted(CODINGS)))
    if draw(some.booleans()):
        body = CODINGS[coding](body)
    lines = [b"HTTP/1.1 %d X" % status, *(b"%s: %s" % header for header in draw(headers))]
    lines += [b"content-encoding: " + coding] if coding else []
    missing = draw(some.sampled_from([0, 0, 0, 5]))  # a body that breaks off
    if draw(some.booleans()):
        lines.append(b"transfer-encoding: chunked")
        sent = (b"%x\r\n%s\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
    else:
        sent = body
    lines += [b"content-length: %d" % len(body)] if draw(some.booleans()) or sent is body else []
    return b"\r\n".join(lines) + b"\r\n\r\n" + sent[: len(sent) - missing]


def told(outcome: Any) -> dict[str, Any]:
    """What a caller can see of an answer, the chunks of a stream, or an error; not the transports' own words."""
    if isinstance(outcome, ParetaError):
        fields = {name: value for name, value in vars(outcome).items() if name not in ("response", "excerpt")}
        return {"error": type(outcome).__name__, **fields}
    if isinstance(outcome, list):
        return {"chunks": [chunk.to_dict() for chunk in outcome]}
    return {
        "raw": outcome.to_dict(),
        "notes": outcome.notes,
        "billed": outcome.billed_micro_usd,
        "id": outcome.request_id,
    }


def ask_blocking(url: str, stream: bool) -> dict[str, Any]:
    with Pareta(api_key=KEY, base_url=url, max_retries=0, timeout=30) as client:
        try:
            answer = client.chat.completions.create(model="m", messages=MESSAGES, stream=stream)
            return told(list(answer) if stream else answer)
        except ParetaError as error:
            return told(error)


async def ask(url: str, stream: bool) -> dict[str, Any]:
    async with AsyncPareta(api_key=KEY, base_url=url, max_retries=0, timeout=30) as client:
        try:
            answer = await client.chat.completions.create(model="m", messages=MESSAGES, stream=stream)
            return told([chunk async for chunk in answer] if stream else answer)  # type: ignore[union-attr]
        except ParetaError as error:
            return told(error)


class Service:
    """Sends `reply`, byte for byte, to every request and closes."""

    reply = b""

    def __call__(self, conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(self.reply)


@pytest.fixture(scope="module")
def service() -> Service:
    return Service()


@pytest.fixture(scope="module")
def url(service: Service) -> Iterator[str]:
    with serving(service) as server:
        yield server.url


@given(reply=replies(), stream=some.booleans())
@examples(max_examples=share_of(60), deadline=None, suppress_health_check=list(HealthCheck))
def test_any_reply_has_one_outcome_and_the_same_on_both_faces(
    service: Service, url: str, reply: bytes, stream: bool
) -> None:
    service.reply = reply
    blocking = ask_blocking(url, stream)
    assert asyncio.run(ask(url, stream)) == blocking
    json.dumps(blocking, allow_nan=False, default=str)
