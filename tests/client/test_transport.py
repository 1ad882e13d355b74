"""The fast transport: its pool, its manners, and what it leaves to httpx."""

import asyncio
import gzip
import threading
import time
import zlib

import httpx
import pytest

from pareta_client import APIConnectionError, APITimeoutError, AsyncPareta, BadRequestError, Pareta
from pareta_client.core.replies import MAX_ERROR_BODY_BYTES
from pareta_client.transport.aiohttp_channel import AiohttpChannel
from tests.client.playing import KEY, request_to
from tests.client.servers import COMPLETION, STREAM_HEAD, Conversation, answering, serving
from tests.ports import closed_port

MESSAGES = [{"role": "user", "content": "hello"}]


async def ask(client: AsyncPareta, text: str = "hello") -> str | None:
    answer = await client.chat.completions.create(model="ep_1", messages=[{"role": "user", "content": text}])
    return answer.choices[0].message.content


async def test_no_more_connections_are_opened_than_there_are_calls_in_flight() -> None:
    with serving(answering()) as server:
        async with AsyncPareta(api_key=KEY, base_url=server.url) as client:
            for _ in range(5):
                assert await asyncio.gather(*(ask(client) for _ in range(8))) == ["hello"] * 8
        assert len(server.requests) == 40
        assert len(server.conversations) == 8


async def test_a_connection_that_the_service_closed_while_idle_is_not_used_again() -> None:
    def once(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.answer()

    with serving(once) as server:
        async with AsyncPareta(api_key=KEY, base_url=server.url, max_retries=0) as client:
            for _ in range(20):
                assert await ask(client) == "hello"
                await asyncio.to_thread(server.conversations[-1].ended.wait, 30)
                await asyncio.sleep(0.001)  # the end of the connection has to arrive here as well
        assert len(server.conversations) == 20


async def test_cookies_are_not_kept() -> None:
    with serving(answering(headers=b"set-cookie: taste=sweet\r\n")) as server:
        async with AsyncPareta(api_key=KEY, base_url=server.url) as client:
            await ask(client)
            await ask(client)
        assert not any(b"cookie:" in request.lower() for request in server.requests)


async def test_the_headers_of_a_request_arrive_and_no_others() -> None:
    with serving(answering()) as server:
        async with AsyncPareta(api_key=KEY, base_url=server.url) as client:
            await ask(client)
        head = server.requests[0].split(b"\r\n\r\n")[0].lower().split(b"\r\n")[1:]
    names = b"host authorization accept accept-encoding user-agent content-length content-type idempotency-key".split()
    assert sorted(line.split(b":")[0] for line in head) == sorted(names)


async def test_a_call_makes_no_request_and_no_response_of_httpx(monkeypatch: pytest.MonkeyPatch) -> None:
    # They cost more than the parsing of the answer, and are what the garbage collector walks over at a thousand calls.
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the fast channel has no use for this")

    with serving(answering()) as server:
        async with AsyncPareta(api_key=KEY, base_url=server.url) as client:
            monkeypatch.setattr(httpx.Request, "__init__", refuse)
            monkeypatch.setattr(httpx.Response, "__init__", refuse)
            assert await ask(client) == "hello"


async def test_compressed_answers_are_decompressed() -> None:
    body = gzip.compress(COMPLETION)
    with serving(answering(body, b"content-encoding: gzip\r\n")) as server:
        async with AsyncPareta(api_key=KEY, base_url=server.url) as client:
            assert await ask(client) == "hello"


async def test_a_compressed_stream_is_decompressed_as_it_arrives() -> None:
    packing = zlib.compressobj(wbits=31)
    first = packing.compress(b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n') + packing.flush(zlib.Z_SYNC_FLUSH)
    rest = packing.compress(b"data: [DONE]\n\n") + packing.flush()
    first_was_read = threading.Event()

    def script(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(STREAM_HEAD.replace(b"\r\n\r\n", b"\r\ncontent-encoding: gzip\r\n\r\n"))
        conversation.chunk(first)
        first_was_read.wait(30)
        conversation.chunk(rest)
        conversation.chunk(b"")

    with serving(script) as server:
        async with AsyncPareta(api_key=KEY, base_url=server.url) as client:
            stream = await client.chat.completions.create(model="ep_1", messages=MESSAGES, stream=True)
            assert (await anext(stream)).choices[0].delta.content == "a"
            first_was_read.set()
            assert [chunk async for chunk in stream] == []


async def test_a_body_that_is_not_what_its_compression_says_is_a_connection_error() -> None:
    with serving(answering(gzip.compress(COMPLETION)[:10] + b"\xff" * 20, b"content-encoding: gzip\r\n")) as server:
        async with AsyncPareta(api_key=KEY, base_url=server.url, max_retries=0) as client:
            with pytest.raises(APIConnectionError, match="DecodingError") as caught:
                await ask(client)
    assert not caught.value.never_sent


@pytest.mark.parametrize("compression", [b"", b"content-encoding: gzip\r\n"])
async def test_of_a_gigantic_error_body_only_the_beginning_is_read(compression: bytes) -> None:
    page = b"<p>" + b"x" * 1_000_000
    sent = gzip.compress(page) if compression else page
    left = threading.Event()

    def script(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(b"HTTP/1.1 400 No\r\n" + compression + b"content-length: 1000000000\r\n\r\n" + sent)
        conversation.wait_until_left()
        left.set()

    with serving(script) as server:
        async with AsyncPareta(api_key=KEY, base_url=server.url, max_retries=0) as client:
            with pytest.raises(BadRequestError) as caught:
                await ask(client)
            assert await asyncio.to_thread(left.wait, 30)
        left.clear()
        with Pareta(api_key=KEY, base_url=server.url, max_retries=0) as blocking:
            with pytest.raises(BadRequestError) as also:
                blocking.chat.completions.create(model="ep_1", messages=MESSAGES)
            assert left.wait(30)
    for error in (caught.value, also.value):
        assert error.response is not None
        assert len(error.response.content) == MAX_ERROR_BODY_BYTES


async def test_a_large_body_that_nobody_reads_runs_into_the_timeout() -> None:
    with serving(lambda conversation: time.sleep(1.0)) as server:
        channel = AiohttpChannel()
        with pytest.raises(httpx.ReadTimeout):
            await channel.send(request_to(server.url, b"x" * 50_000_000, httpx.Timeout(0.1)), None)
        await channel.aclose()


def test_a_client_says_so_when_it_is_used_on_another_event_loop() -> None:
    with serving(answering()) as server:
        client = AsyncPareta(api_key=KEY, base_url=server.url)
        with asyncio.Runner() as first:
            assert first.run(ask(client)) == "hello"
            with asyncio.Runner() as second, pytest.raises(RuntimeError, match="another event loop"):
                second.run(ask(client))
            first.run(client.aclose())


@pytest.mark.parametrize("calls_before", [0, 1])
async def test_a_closed_client_says_so(calls_before: int) -> None:
    with serving(answering()) as server:
        client = AsyncPareta(api_key=KEY, base_url=server.url)
        for _ in range(calls_before):
            await ask(client)
        await client.aclose()
        with pytest.raises(RuntimeError, match="closed"):
            await ask(client)


async def test_a_cancelled_call_releases_its_connection_slot() -> None:
    arrived = threading.Event()

    def hang(conversation: Conversation) -> None:
        conversation.read_request()
        arrived.set()
        conversation.wait_until_left()

    with serving(hang) as server:
        async with AsyncPareta(api_key=KEY, base_url=server.url) as client:
            client._channel.connection_slots = slots = asyncio.Semaphore(1)
            call = asyncio.create_task(ask(client))
            await asyncio.to_thread(arrived.wait, 30)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert not slots.locked()


async def test_waiting_for_a_connection_slot_does_not_count_as_an_attempt_but_ends_with_the_deadline() -> None:
    with serving(answering()) as server:
        async with AsyncPareta(api_key=KEY, base_url=server.url, deadline=0.05, max_retries=0) as client:
            client._channel.connection_slots = slots = asyncio.Semaphore(1)
            await slots.acquire()
            with pytest.raises(APITimeoutError, match="no free connection") as caught:
                await ask(client)
            assert caught.value.never_sent
            patient = client.with_options(deadline=60, timeout=0.5, max_retries=20)
            waiting = asyncio.create_task(ask(patient))
            await asyncio.sleep(0.6)  # longer than the timeout of an attempt
            slots.release()
            assert await waiting == "hello"
            assert not slots.locked()


async def test_a_proxy_named_in_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(answering()) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "elsewhere.localhost")
        async with AsyncPareta(api_key=KEY, base_url="http://service.localhost") as client:
            assert await ask(client) == "hello"
        assert proxy.requests[0].startswith(b"POST http://service.localhost/v1/chat/completions ")


async def test_a_host_excepted_from_the_proxy_is_reached_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with closed_port() as proxy, serving(answering()) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy}")
        async with AsyncPareta(api_key=KEY, base_url=server.url) as client:
            assert await ask(client) == "hello"


async def test_a_short_read_timeout_holds_although_the_deadline_is_far() -> None:
    def hang(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.wait_until_left()

    with serving(hang) as server:
        options = {"timeout": httpx.Timeout(300, read=0.1), "deadline": 300, "max_retries": 0}
        async with AsyncPareta(api_key=KEY, base_url=server.url).with_options(**options) as client:  # type: ignore[arg-type]
            with pytest.raises(APITimeoutError, match="ReadTimeout"):
                await ask(client)


async def test_a_call_that_sleeps_before_its_next_attempt_releases_its_connection_slot() -> None:
    refused = threading.Event()

    def refuse_once(conversation: Conversation) -> None:
        while conversation.read_request():
            if refused.is_set():
                conversation.answer()
            else:
                refused.set()
                return

    with serving(refuse_once) as server:
        async with AsyncPareta(api_key=KEY, base_url=server.url) as client:
            client._channel.connection_slots = slots = asyncio.Semaphore(1)
            calls = [asyncio.create_task(ask(client, text)) for text in ("first", "second")]
            assert await asyncio.gather(*calls) == ["hello"] * 2
            assert not slots.locked()
        # The second call waits for the slot until the first one sleeps.
        assert [b"second" in request for request in server.requests] == [False, True, False]


async def test_an_unlimited_client_waits_for_no_connection_slot_nor_takes_one() -> None:
    with serving(answering()) as server:
        async with AsyncPareta(api_key=KEY, base_url=server.url) as client:
            client._channel.connection_slots = slots = asyncio.Semaphore(1)
            await slots.acquire()
            unlimited = client.with_options(unlimited_connections=True)
            assert await ask(unlimited) == "hello"
            assert await ask(unlimited.with_options(deadline=5)) == "hello"
            with pytest.raises(APITimeoutError, match="no free connection"):
                await ask(client.with_options(deadline=0.05, max_retries=0))
            slots.release()
            assert not slots.locked()
