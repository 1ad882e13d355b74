"""What went wrong on the wire, and whether the request may have been sent: that decides what a retry costs."""

import socket
import time
from collections.abc import Awaitable, Callable
from inspect import isclass

import httpx
import pytest

from pareta_client import APIConnectionError, APITimeoutError, AsyncPareta, Pareta
from pareta_client.transport.aiohttp_channel import AiohttpChannel
from pareta_client.transport.transport_errors import NEVER_SENT, connection_error
from tests.client.playing import KEY, request_to
from tests.client.servers import HEAD, Conversation, serving
from tests.ports import closed_port

Script = Callable[[Conversation], None]
MESSAGES = [{"role": "user", "content": "hello"}]


def drop_before_answering(conversation: Conversation) -> None:
    conversation.read_request()


def reset_before_answering(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def drop_in_the_head(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.send(HEAD[:30])


def drop_in_the_body(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.send(HEAD + b'content-length: 100\r\n\r\n{"choices": [')


def drop_in_a_chunk(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.send(HEAD + b"transfer-encoding: chunked\r\n\r\n20\r\nabc")


def garble_the_body(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.send(HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n")


def talk_nonsense(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.send(b"220 mail.example ESMTP ready\r\n")


def hang_before_answering(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.wait_until_left()


def hang_in_the_body(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.send(HEAD + b"content-length: 100\r\n\r\n{")
    conversation.wait_until_left()


FAULTS: list[tuple[Script, type[httpx.TransportError]]] = [
    (drop_before_answering, httpx.RemoteProtocolError),
    (reset_before_answering, httpx.ReadError),
    (drop_in_the_head, httpx.RemoteProtocolError),
    (drop_in_the_body, httpx.RemoteProtocolError),
    (drop_in_a_chunk, httpx.RemoteProtocolError),
    (garble_the_body, httpx.RemoteProtocolError),
    (talk_nonsense, httpx.RemoteProtocolError),
    (hang_before_answering, httpx.ReadTimeout),
    (hang_in_the_body, httpx.ReadTimeout),
]
faults = pytest.mark.parametrize(("script", "expected"), FAULTS, ids=lambda value: getattr(value, "__name__", ""))


LONG = httpx.Timeout(30.0)
"""What a busy machine does not reach."""


def patience_for(expected: type[Exception]) -> httpx.Timeout:
    """Return a short read timeout where one is expected."""
    return httpx.Timeout(30.0, read=0.2) if issubclass(expected, httpx.TimeoutException) else LONG


async def through_httpx(url: str, patience: httpx.Timeout) -> None:
    async with httpx.AsyncClient(timeout=patience) as client:
        await client.post(url, json={})


async def through_ours(url: str, patience: httpx.Timeout) -> None:
    channel = AiohttpChannel()
    try:
        incoming = await channel.send(request_to(url, b"{}", patience), None)
        try:
            await incoming.read_into([], 10**9)
        finally:
            await incoming.aclose()
    finally:
        await channel.aclose()


Way = Callable[[str, httpx.Timeout], Awaitable[None]]
ways = pytest.mark.parametrize("way", [through_httpx, through_ours])


async def raised_by(way: Way, url: str, patience: httpx.Timeout = LONG) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one is what the test is about
        await way(url, patience)
    return caught.value


@ways
@faults
async def test_our_transport_names_each_fault_as_httpx_does(
    way: Way, script: Script, expected: type[Exception]
) -> None:
    with serving(script) as server:
        error = await raised_by(way, server.url, patience_for(expected))
    assert type(error) is expected
    assert not isinstance(error, NEVER_SENT)


@ways
async def test_a_refused_connection_was_never_sent(way: Way) -> None:
    with closed_port() as port:
        error = await raised_by(way, f"http://127.0.0.1:{port}")
    assert type(error) is httpx.ConnectError
    assert isinstance(error, NEVER_SENT)


@ways
async def test_an_unknown_host_was_never_sent(way: Way) -> None:
    error = await raised_by(way, "http://no-such-host.invalid")
    assert type(error) is httpx.ConnectError


@ways
async def test_a_failed_tls_handshake_was_never_sent(way: Way) -> None:
    with serving(lambda conversation: conversation.send(b"not TLS\r\n")) as server:
        error = await raised_by(way, server.url.replace("http:", "https:"))
    assert type(error) is httpx.ConnectError


@ways
async def test_a_connection_that_is_never_accepted_was_never_sent(way: Way) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        fillers = [socket.socket() for _ in range(8)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        try:
            error = await raised_by(way, f"http://127.0.0.1:{address[1]}", httpx.Timeout(30.0, connect=0.2))
        finally:
            for filler in fillers:
                filler.close()
    assert type(error) is httpx.ConnectTimeout


@ways
async def test_another_scheme_was_never_sent(way: Way) -> None:
    error = await raised_by(way, "gopher://127.0.0.1/")
    assert type(error) is httpx.UnsupportedProtocol


@faults
async def test_after_a_fault_the_asynchronous_client_says_it_may_have_been_sent(
    script: Script, expected: type[Exception]
) -> None:
    patience = patience_for(expected)
    with serving(script) as server:
        async with AsyncPareta(api_key=KEY, base_url=server.url, max_retries=0, timeout=patience) as client:
            with pytest.raises(APIConnectionError) as caught:
                await client.chat.completions.create(model="ep_1", messages=MESSAGES)
    assert caught.value.never_sent is False
    assert isinstance(caught.value, APITimeoutError) == issubclass(expected, httpx.TimeoutException)


@faults
def test_after_a_fault_the_blocking_client_says_it_may_have_been_sent(
    script: Script, expected: type[Exception]
) -> None:
    with (
        serving(script) as server,
        Pareta(api_key=KEY, base_url=server.url, max_retries=0, timeout=patience_for(expected)) as client,
        pytest.raises(APIConnectionError) as caught,
    ):
        client.chat.completions.create(model="ep_1", messages=MESSAGES)
    assert caught.value.never_sent is False
    assert isinstance(caught.value, APITimeoutError) == issubclass(expected, httpx.TimeoutException)


async def test_a_refused_connection_is_known_to_be_never_sent_on_both_faces() -> None:
    with closed_port() as port:
        url = f"http://127.0.0.1:{port}"
        async with AsyncPareta(api_key=KEY, base_url=url, max_retries=0) as client:
            with pytest.raises(APIConnectionError) as caught:
                await client.models.list()
        assert caught.value.never_sent
        with Pareta(api_key=KEY, base_url=url, max_retries=0) as blocking, pytest.raises(APIConnectionError) as caught:
            blocking.models.list()
        assert caught.value.never_sent


def drip(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.send(HEAD + b"content-length: 1000\r\n\r\n")
    # Each byte restarts a read timeout; only a bound on the whole attempt ends this.
    while True:
        conversation.send(b" ")
        time.sleep(0.02)


async def test_a_timeout_bounds_the_whole_attempt_even_if_bytes_keep_dripping() -> None:
    with serving(drip) as server:
        async with AsyncPareta(api_key=KEY, base_url=server.url, max_retries=0, timeout=0.2) as client:
            with pytest.raises(APITimeoutError):
                await client.models.list()
        with (
            Pareta(api_key=KEY, base_url=server.url, max_retries=0, timeout=0.2) as blocking,
            pytest.raises(APITimeoutError),
        ):
            blocking.models.list()


def every_httpx_error() -> list[type[httpx.RequestError]]:
    return [kind for kind in vars(httpx).values() if isclass(kind) and issubclass(kind, httpx.RequestError)]


@pytest.mark.parametrize("kind", every_httpx_error())
def test_every_error_of_httpx_is_translated(kind: type[httpx.RequestError]) -> None:
    error = connection_error(kind("what happened"), "http://user:secret@localhost/v1")
    assert isinstance(error, APITimeoutError) == issubclass(kind, httpx.TimeoutException)
    assert error.never_sent == issubclass(kind, NEVER_SENT)
    assert "what happened" in str(error)
    assert ("http://localhost:80" in str(error)) is error.unreachable
    assert "secret" not in str(error)
    assert error.unreachable == (error.never_sent and kind is not httpx.PoolTimeout)
    assert isinstance(error.__cause__, kind)
