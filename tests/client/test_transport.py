"""The fast transport: its pool, its manners, and what it leaves to httpx."""

import asyncio
import gzip
import threading
import time

import httpx
import pytest

from pareta_client import APITimeoutError, AsyncPareta
from pareta_client.aiohttp_transport import AiohttpTransport
from tests.client.playing import KEY
from tests.client.servers import COMPLETION, Conversation, answering, refused_port, serving

MESSAGES = [{"role": "user", "content": "hello"}]


async def ask(client: AsyncPareta) -> str | None:
    answer = await client.chat.completions.create(model="ep_1", messages=MESSAGES)
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
                await asyncio.to_thread(server.conversations[-1].ended.wait, 5)
                await asyncio.sleep(0.001)  # the end of the connection has to arrive here as well
        assert len(server.conversations) == 20


async def test_cookies_are_kept_by_the_httpx_client_above_and_by_nobody_else() -> None:
    with serving(answering(headers=b"set-cookie: taste=sweet\r\n")) as server:
        async with AsyncPareta(api_key=KEY, base_url=server.url) as client:
            await ask(client)
            await ask(client)
        assert not any(b"cookie:" in request.lower() for request in server.requests)
    with serving(answering(headers=b"set-cookie: taste=sweet\r\n")) as server:
        async with httpx.AsyncClient(transport=AiohttpTransport()) as above:
            await above.get(server.url)
            await above.get(server.url)
        assert [b"cookie: taste=sweet" in request.lower() for request in server.requests] == [False, True]


async def test_redirects_are_left_to_the_httpx_client_above() -> None:
    def elsewhere(conversation: Conversation) -> None:
        while conversation.read_request():
            conversation.send(b"HTTP/1.1 302 Found\r\nlocation: /other\r\ncontent-length: 0\r\n\r\n")

    with serving(elsewhere) as server:
        async with httpx.AsyncClient(transport=AiohttpTransport()) as above:
            assert (await above.get(server.url)).status_code == 302
        assert len(server.requests) == 1


async def test_headers_arrive_as_httpx_wrote_them_and_no_others() -> None:
    sent = httpx.Request("POST", "http://localhost", headers={"x-one": "1"}, json={"a": 1})
    with serving(answering()) as server:
        transport = AiohttpTransport()
        request = httpx.Request("POST", server.url, headers={"x-one": "1"}, json={"a": 1})
        response = await transport.handle_async_request(request)
        await response.aread()
        await transport.aclose()
        head = server.requests[0].split(b"\r\n\r\n")[0].lower().split(b"\r\n")[1:]
    assert {line.split(b":")[0] for line in head} == {name.lower() for name, _ in sent.headers.raw}


async def test_compressed_answers_are_decompressed() -> None:
    body = gzip.compress(COMPLETION)
    with serving(answering(body, b"content-encoding: gzip\r\n")) as server:
        async with AsyncPareta(api_key=KEY, base_url=server.url) as client:
            assert await ask(client) == "hello"


async def test_a_streamed_body_is_sent_as_well() -> None:
    async def pieces() -> object:
        yield b"abc"
        yield b"def"

    with serving(answering()) as server:
        async with httpx.AsyncClient(transport=AiohttpTransport()) as above:
            await above.put(server.url, content=pieces(), headers={"content-length": "6"})  # type: ignore[arg-type]
        assert server.requests[0].endswith(b"abcdef")


async def test_a_large_body_that_nobody_reads_runs_into_the_timeout() -> None:
    with serving(lambda conversation: time.sleep(1.0)) as server:
        timeout = httpx.Timeout(0.1)
        async with httpx.AsyncClient(transport=AiohttpTransport(), timeout=timeout) as above:
            with pytest.raises(httpx.ReadTimeout):
                await above.post(server.url, content=b"x" * 50_000_000)


def test_a_client_says_so_when_it_is_used_on_another_event_loop() -> None:
    with serving(answering()) as server:
        client = AsyncPareta(api_key=KEY, base_url=server.url)
        with asyncio.Runner() as first:
            assert first.run(ask(client)) == "hello"
            with asyncio.Runner() as second, pytest.raises(RuntimeError, match="another event loop"):
                second.run(ask(client))
            first.run(client.aclose())


async def test_a_closed_client_says_so() -> None:
    with serving(answering()) as server:
        client = AsyncPareta(api_key=KEY, base_url=server.url)
        await ask(client)
        await client.aclose()
        with pytest.raises(RuntimeError, match="closed"):
            await ask(client)


async def test_a_cancelled_call_gives_its_place_back() -> None:
    arrived = threading.Event()

    def hang(conversation: Conversation) -> None:
        conversation.read_request()
        arrived.set()
        conversation.wait_until_left()

    with serving(hang) as server:
        async with AsyncPareta(api_key=KEY, base_url=server.url) as client:
            client._channel.places = places = asyncio.Semaphore(1)
            call = asyncio.create_task(ask(client))
            await asyncio.to_thread(arrived.wait, 5)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert not places.locked()


async def test_waiting_for_a_place_does_not_count_as_an_attempt_but_ends_with_the_deadline() -> None:
    with serving(answering()) as server:
        async with AsyncPareta(api_key=KEY, base_url=server.url, deadline=0.05, max_retries=0) as client:
            client._channel.places = places = asyncio.Semaphore(1)
            await places.acquire()
            with pytest.raises(APITimeoutError, match="no free connection") as caught:
                await ask(client)
            assert caught.value.never_sent
            patient = client.with_options(deadline=5, timeout=0.2)
            waiting = asyncio.create_task(ask(patient))
            await asyncio.sleep(0.3)  # longer than the timeout of an attempt
            places.release()
            assert await waiting == "hello"
            assert not places.locked()


async def test_a_proxy_named_in_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(answering()) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "elsewhere.localhost")
        async with AsyncPareta(api_key=KEY, base_url="http://service.localhost") as client:
            assert await ask(client) == "hello"
        assert proxy.requests[0].startswith(b"POST http://service.localhost/v1/chat/completions ")


async def test_a_host_excepted_from_the_proxy_is_reached_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{refused_port()}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(answering()) as server:
        async with AsyncPareta(api_key=KEY, base_url=server.url) as client:
            assert await ask(client) == "hello"


async def test_a_short_read_timeout_holds_although_the_deadline_is_far() -> None:
    def hang(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.wait_until_left()

    with serving(hang) as server:
        options = {"timeout": httpx.Timeout(5, read=0.1), "deadline": 60, "max_retries": 0}
        async with AsyncPareta(api_key=KEY, base_url=server.url).with_options(**options) as client:  # type: ignore[arg-type]
            started = time.monotonic()
            with pytest.raises(APITimeoutError, match="ReadTimeout"):
                await ask(client)
            assert time.monotonic() - started < 5


async def test_a_call_that_sleeps_before_its_next_attempt_leaves_its_place_to_others() -> None:
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
            client._channel.places = places = asyncio.Semaphore(1)
            sleeping = asyncio.create_task(ask(client))
            await asyncio.to_thread(refused.wait, 5)
            started = time.monotonic()
            assert await ask(client) == "hello"
            assert time.monotonic() - started < 0.4  # the first one sleeps for half a second
            assert await sleeping == "hello"
            assert not places.locked()
