"""Replies that servers and gateways really send, byte for byte: both clients read them, and read them alike."""

import asyncio
import gzip
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable

import pytest

from pareta_client import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AsyncPareta,
    InsufficientCreditsError,
    OversizedReplyError,
    Pareta,
    ParetaError,
    RateLimitError,
    Verdict,
    verdict_of,
)
from tests.client.playing import KEY
from tests.client.servers import COMPLETION, Conversation, serving

MESSAGES = [{"role": "user", "content": "hello"}]
OK = b"HTTP/1.1 200 OK\r\nx-pareta-billed: 42\r\n"
LENGTH = b"content-length: %d\r\n" % len(COMPLETION)
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(COMPLETION), COMPLETION)


def sized(body: bytes, *headers: bytes) -> bytes:
    return OK + b"".join(header + b"\r\n" for header in headers) + b"content-length: %d\r\n\r\n" % len(body) + body


READ = {
    "plain": sized(COMPLETION),
    "a length beside chunks": OK + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n" + CHUNKS,
    "chunks beside a length": OK + b"Transfer-Encoding:  Chunked \r\n" + LENGTH + b"\r\n" + CHUNKS,
    "a length twice": OK + LENGTH + LENGTH + b"\r\n" + COMPLETION,
    "a list of lengths": OK + LENGTH.replace(b"\r\n", b", %d\r\n" % len(COMPLETION)) + b"\r\n" + COMPLETION,
    "a long header": sized(COMPLETION, b"set-cookie: s=" + b"a" * 60_000),
    "many headers": sized(COMPLETION, *(b"x%d: y" % number for number in range(3_000))),
    "headers twice": sized(COMPLETION, *[b"content-type: a/b", b"server: a", b"date: x", b"etag: a"] * 2),
    "odd bytes in a header": sized(COMPLETION, b"x-y: \xe9\xff\x01\x7f", b"set-cookie: =;;\xff", b"x-z:"),
    "a folded header": sized(COMPLETION, b"x-y: a\r\n b"),
    "line feeds alone": sized(COMPLETION).replace(b"\r\n", b"\n"),
    "no reason": sized(COMPLETION).replace(b"200 OK", b"200"),
    "an odd reason": sized(COMPLETION).replace(b"200 OK", b"200 \xe9"),
    "until the end of the connection": OK + b"\r\n" + COMPLETION,
    "HTTP/1.0": (OK + b"\r\n" + COMPLETION).replace(b"HTTP/1.1", b"HTTP/1.0"),
    "an interim answer": b"HTTP/1.1 100 Continue\r\n\r\n"
    + OK
    + LENGTH
    + b"transfer-encoding: chunked\r\n\r\n"
    + CHUNKS,
    "thousands of interim answers": b"HTTP/1.1 102 Processing\r\n\r\n" * 5_000 + sized(COMPLETION),
    "an interim answer with a length": b"HTTP/1.1 199 X\r\ncontent-length: 5\r\n\r\n" + sized(COMPLETION),
    "early hints": b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + sized(COMPLETION),
    "chunk extensions": OK + b"transfer-encoding: chunked\r\n\r\n" + CHUNKS.replace(b"0\r\n", b"0;a=b\r\nt: v\r\n"),
    "more than the declared length": sized(COMPLETION) + b"garbage",
    "an unasked upgrade": sized(COMPLETION, b"upgrade: h2c", b"connection: upgrade"),
    "gzip": sized(gzip.compress(COMPLETION), b"content-encoding: gzip"),
    "gzip of two members": sized(
        gzip.compress(COMPLETION[:9]) + gzip.compress(COMPLETION[9:]), b"content-encoding: gzip"
    ),
    "padded gzip": sized(gzip.compress(COMPLETION) + bytes(512), b"Content-Encoding: GZIP"),
    "plain that claims gzip": sized(COMPLETION, b"content-encoding: gzip"),
    "plain that claims br": sized(COMPLETION, b"content-encoding: br"),
    "deflate": sized(zlib.compress(COMPLETION), b"content-encoding: deflate"),
    "raw deflate": sized(zlib.compress(COMPLETION)[2:-4], b"content-encoding: deflate"),
    "two encodings": sized(gzip.compress(gzip.compress(COMPLETION)), b"content-encoding: gzip, gzip"),
    "another success": sized(COMPLETION).replace(b"200 OK", b"299 Fine"),
}


def sending(reply: bytes, piece: int = 10**9) -> Callable[[Conversation], None]:
    def script(conversation: Conversation) -> None:
        conversation.read_request()
        for at in range(0, len(reply), piece):
            conversation.send(reply[at : at + piece])

    return script


def blocking(url: str, max_reply_bytes: int = 64 * 1024 * 1024) -> tuple[str | None, int | None] | ParetaError:
    with Pareta(api_key=KEY, base_url=url, max_retries=0, timeout=30, max_reply_bytes=max_reply_bytes) as client:
        try:
            answer = client.chat.completions.create(model="ep_1", messages=MESSAGES)
        except ParetaError as error:
            return error
        return answer.choices[0].message.content, answer.billed_micro_usd


def asynchronous(url: str, max_reply_bytes: int = 64 * 1024 * 1024) -> tuple[str | None, int | None] | ParetaError:
    async def ask() -> tuple[str | None, int | None] | ParetaError:
        async with AsyncPareta(
            api_key=KEY, base_url=url, max_retries=0, timeout=30, max_reply_bytes=max_reply_bytes
        ) as client:
            try:
                answer = await client.chat.completions.create(model="ep_1", messages=MESSAGES)
            except ParetaError as error:
                return error
            return answer.choices[0].message.content, answer.billed_micro_usd

    return asyncio.run(ask())


both = pytest.mark.parametrize("ask", [blocking, asynchronous])


@both
@pytest.mark.parametrize("name", READ)
def test_a_reply_that_httpx_reads_is_read_with_one_post(name: str, ask: Callable[[str], object]) -> None:
    with serving(sending(READ[name])) as server:
        assert ask(server.url) == ("hello", 42)
        assert len(server.requests) == 1


@pytest.mark.parametrize("name", ["plain", "a length beside chunks", "an interim answer", "line feeds alone", "gzip"])
def test_it_does_not_matter_how_a_reply_is_cut_on_its_way(name: str) -> None:
    with serving(sending(READ[name], piece=1)) as server:
        assert asynchronous(server.url) == ("hello", 42)


CREDIT, SLOW, AGAIN = Verdict.OUT_OF_CREDIT, Verdict.RATE_LIMIT, Verdict.TRANSIENT
HALF = [
    (b"402 P", b"content-length: 500\r\n\r\n" + b'{"detail": "out of cr', InsufficientCreditsError, CREDIT),
    (b"402 P", b"transfer-encoding: chunked\r\n\r\n5\r\nab", InsufficientCreditsError, CREDIT),
    (b"429 S", b"retry-after: 7\r\ncontent-encoding: gzip\r\ncontent-length: 5\r\n\r\n", RateLimitError, SLOW),
    (b"500 E", b"content-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f\x8b\xff\xff", APIStatusError, AGAIN),
    (b"402 P", b"transfer-encoding: chunked\r\n\r\nzz\r\n", InsufficientCreditsError, CREDIT),
    (b"429 S", b"retry-after: 7\r\ntransfer-encoding: chunked\r\n\r\n2\r\nabc", RateLimitError, SLOW),
    (b"200 K", b"transfer-encoding: chunked\r\n\r\n-5\r\n{}", APIConnectionError, AGAIN),
    (b"200 K", b"content-length: 500\r\n\r\n{", APIConnectionError, AGAIN),
]


@both
@pytest.mark.parametrize(("status", "rest", "kind", "verdict"), HALF, ids=lambda value: str(value)[:12])
def test_the_status_and_the_receipt_count_even_if_the_body_breaks_off(
    status: bytes, rest: bytes, kind: type[ParetaError], verdict: Verdict, ask: Callable[[str], object]
) -> None:
    head = b"HTTP/1.1 " + status + b"\r\nx-request-id: req_1\r\nx-pareta-billed: 9\r\n"
    with serving(sending(head + rest)) as server:
        error = ask(server.url)
    assert isinstance(error, kind)
    assert verdict_of(error) is verdict
    assert (error.billed_micro_usd, getattr(error, "request_id", None)) == (9, "req_1")
    assert getattr(error, "retry_after", 7) in (None, 7)


@both
def test_chunks_that_cannot_be_read_are_an_error_at_once_wherever_they_were_cut(ask: Callable[[str], object]) -> None:
    ended = threading.Event()

    def script(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(OK + b"transfer-encoding: chunked\r\n\r\n")
        conversation.send(b"3\r\nabc\r\n")
        time.sleep(0.1)  # the client has read what came
        conversation.send(b"zz\r\n")
        ended.wait(30)  # and keeps the connection open

    with serving(script) as server:
        error = ask(server.url)
        ended.set()
    assert isinstance(error, APIConnectionError)
    assert not isinstance(error, APITimeoutError)
    assert error.billed_micro_usd == 42


def test_a_half_success_is_asked_again_and_its_receipt_is_added() -> None:
    replies = [OK + b"content-length: 500\r\n\r\n{", sized(COMPLETION)]

    def script(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(replies.pop(0))

    with serving(script) as server:
        with Pareta(api_key=KEY, base_url=server.url, max_retries=1) as client:
            answer = client.chat.completions.create(model="ep_1", messages=MESSAGES)
        assert (answer.billed_micro_usd, answer.attempts, len(server.requests)) == (84, 2, 2)


BOMB = gzip.compress(b'{"choices": "' + b" " * (200 * 1024 * 1024), compresslevel=1)


@both
def test_a_gzip_bomb_costs_bounded_memory_and_one_clear_error(ask: Callable[[str], object]) -> None:
    with serving(sending(sized(BOMB, b"content-encoding: gzip"))) as server:
        tracemalloc.start()
        try:
            error = ask(server.url)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert len(server.requests) == 1
    assert isinstance(error, OversizedReplyError)
    assert verdict_of(error) is Verdict.FATAL_TO_ITEM
    assert (error.billed_micro_usd, len(error.excerpt), error.attempts) == (42, 500, 1)
    assert "max_reply_bytes=67108864" in str(error)
    assert peak < 160 * 1024 * 1024


@both
@pytest.mark.parametrize("headers", [(), (b"content-encoding: gzip",)])
def test_the_bound_on_a_reply_can_be_set(ask: Callable[..., object], headers: tuple[bytes, ...]) -> None:
    body = gzip.compress(COMPLETION) if headers else COMPLETION
    with serving(sending(sized(body, *headers))) as server:
        assert isinstance(ask(server.url, max_reply_bytes=len(COMPLETION) - 1), OversizedReplyError)
        assert ask(server.url, max_reply_bytes=len(COMPLETION)) == ("hello", 42)
    with pytest.raises(ValueError, match="max_reply_bytes"):
        ask(server.url, max_reply_bytes=0)


def test_a_view_of_a_client_may_have_another_bound() -> None:
    with serving(sending(sized(COMPLETION))) as server, Pareta(api_key=KEY, base_url=server.url) as client:
        with pytest.raises(OversizedReplyError):
            client.with_options(max_reply_bytes=10).chat.completions.create(model="ep_1", messages=MESSAGES)
        assert client.chat.completions.create(model="ep_1", messages=MESSAGES).billed_micro_usd == 42
