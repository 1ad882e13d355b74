"""Streams over real sockets: each chunk when it arrives, and nothing held longer than needed."""

import asyncio
import gc
import threading
from collections.abc import Callable

import pytest

from pareta_client import APIConnectionError, APITimeoutError, AsyncPareta, Pareta, RateLimitError
from tests.client.playing import KEY
from tests.client.servers import STREAM_HEAD, Conversation, serving

MESSAGES = [{"role": "user", "content": "hello"}]
RECEIPT = b": pareta-billed-micro-usd 7\n\n: pareta-frontier-would-have-cost-micro-usd 70\n\n"


def piece(text: str) -> bytes:
    return b'data: {"choices": [{"delta": {"content": "%s"}}]}\n\n' % text.encode()


class StepByStep:
    """A service that sends its next piece only when it is allowed to."""

    def __init__(self) -> None:
        self.allowed = threading.Semaphore(0)
        self.left = threading.Event()

    def __call__(self, conversation: Conversation) -> None:
        while conversation.read_request():
            conversation.send(STREAM_HEAD)
            for text in ("one", "two", "three"):
                self.allowed.acquire(timeout=30)
                conversation.chunk(piece(text))
            conversation.chunk(RECEIPT + b"data: [DONE]\n\n")
            conversation.chunk(b"")
        self.left.set()


def text_of(chunk: object) -> str | None:
    content: str | None = chunk.choices[0].delta.content  # type: ignore[attr-defined]
    return content


def test_the_blocking_face_gives_each_chunk_before_the_next_is_sent() -> None:
    service = StepByStep()
    with serving(service) as server, Pareta(api_key=KEY, base_url=server.url) as client:
        stream = client.chat.completions.create(model="ep_1", messages=MESSAGES, stream=True)
        for number, text in enumerate(("one", "two", "three"), start=1):
            service.allowed.release()
            assert text_of(next(stream)) == text
            assert stream.received == number
        assert list(stream) == []
        assert (stream.billed_micro_usd, stream.savings_factor, stream.request_id) == (7, 10.0, "req_1")


async def test_the_asynchronous_face_gives_each_chunk_before_the_next_is_sent() -> None:
    service = StepByStep()
    with serving(service) as server:
        async with AsyncPareta(api_key=KEY, base_url=server.url) as client:
            stream = await client.chat.completions.create(model="ep_1", messages=MESSAGES, stream=True)
            for number, text in enumerate(("one", "two", "three"), start=1):
                service.allowed.release()
                assert text_of(await anext(stream)) == text
                assert stream.received == number
            assert [chunk async for chunk in stream] == []
            assert (stream.billed_micro_usd, stream.savings_factor, stream.request_id) == (7, 10.0, "req_1")


async def test_a_stream_read_to_its_end_gives_its_connection_back() -> None:
    service = StepByStep()
    with serving(service) as server:
        async with AsyncPareta(api_key=KEY, base_url=server.url) as client:
            for _ in range(3):
                service.allowed.release(3)
                stream = await client.chat.completions.create(model="ep_1", messages=MESSAGES, stream=True)
                assert len([chunk async for chunk in stream]) == 3
        with Pareta(api_key=KEY, base_url=server.url) as blocking:
            for _ in range(3):
                service.allowed.release(3)
                assert len(list(blocking.chat.completions.create(model="ep_1", messages=MESSAGES, stream=True))) == 3
        assert len(server.conversations) == 2


async def test_closing_a_stream_early_leaves_the_service() -> None:
    service = StepByStep()
    with serving(service) as server:
        async with AsyncPareta(api_key=KEY, base_url=server.url) as client:
            service.allowed.release()
            async with await client.chat.completions.create(model="ep_1", messages=MESSAGES, stream=True) as stream:
                await anext(stream)
            service.allowed.release(2)
            assert await asyncio.to_thread(server.conversations[0].ended.wait, 30)


def test_closing_a_blocking_stream_early_leaves_the_service() -> None:
    service = StepByStep()
    with serving(service) as server, Pareta(api_key=KEY, base_url=server.url) as client:
        service.allowed.release()
        with client.chat.completions.create(model="ep_1", messages=MESSAGES, stream=True) as stream:
            next(stream)
        service.allowed.release(2)
        assert server.conversations[0].ended.wait(30)


def test_a_stream_that_is_merely_dropped_leaves_the_service_too() -> None:
    service = StepByStep()
    with serving(service) as server, Pareta(api_key=KEY, base_url=server.url) as client:
        service.allowed.release()
        for _chunk in client.chat.completions.create(model="ep_1", messages=MESSAGES, stream=True):
            break
        gc.collect()
        service.allowed.release(2)
        assert server.conversations[0].ended.wait(30)


async def test_a_cancelled_reader_leaves_the_service() -> None:
    service = StepByStep()
    with serving(service) as server:
        async with AsyncPareta(api_key=KEY, base_url=server.url) as client:
            stream = await client.chat.completions.create(model="ep_1", messages=MESSAGES, stream=True)
            service.allowed.release()
            await anext(stream)
            reading = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            service.allowed.release(2)
            assert await asyncio.to_thread(server.conversations[0].ended.wait, 30)


def test_nothing_is_sent_before_the_first_chunk_is_asked_for() -> None:
    service = StepByStep()
    with serving(service) as server, Pareta(api_key=KEY, base_url=server.url) as client:
        stream = client.chat.completions.create(model="ep_1", messages=MESSAGES, stream=True)
        stream.close()
        assert server.requests == []


def dropping(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.send(STREAM_HEAD)
    conversation.chunk(piece("one") + piece("two"))


def ending_without_done(conversation: Conversation) -> None:
    dropping(conversation)
    conversation.chunk(b"")


@pytest.mark.parametrize("script", [dropping, ending_without_done])
async def test_a_broken_stream_says_how_much_arrived_and_is_not_sent_again(
    script: Callable[[Conversation], None],
) -> None:
    with serving(script) as server:
        async with AsyncPareta(api_key=KEY, base_url=server.url) as client:
            stream = await client.chat.completions.create(model="ep_1", messages=MESSAGES, stream=True)
            with pytest.raises(APIConnectionError) as caught:
                async for _ in stream:
                    pass
        with (
            Pareta(api_key=KEY, base_url=server.url) as blocking,
            pytest.raises(APIConnectionError, match="after 2 chunks") as also,
        ):
            list(blocking.chat.completions.create(model="ep_1", messages=MESSAGES, stream=True))
        assert len(server.requests) == 2
    for error in (caught.value, also.value):
        assert (error.chunks_received, error.never_sent, error.request_id) == (2, False, "req_1")


def hanging(conversation: Conversation) -> None:
    dropping(conversation)
    conversation.wait_until_left()


async def test_an_asynchronous_stream_that_is_merely_dropped_leaves_the_service_too() -> None:
    with serving(hanging) as server:
        async with AsyncPareta(api_key=KEY, base_url=server.url) as client:
            async for _chunk in await client.chat.completions.create(model="ep_1", messages=MESSAGES, stream=True):
                break
            gc.collect()
            assert await asyncio.to_thread(server.conversations[0].ended.wait, 30)


async def test_a_stream_that_falls_silent_is_a_timeout_that_says_how_much_arrived() -> None:
    with serving(hanging) as server:
        async with AsyncPareta(api_key=KEY, base_url=server.url, timeout=1) as client:
            stream = await client.chat.completions.create(model="ep_1", messages=MESSAGES, stream=True)
            with pytest.raises(APITimeoutError) as caught:
                async for _ in stream:
                    pass
        with Pareta(api_key=KEY, base_url=server.url, timeout=1) as blocking, pytest.raises(APITimeoutError) as also:
            list(blocking.chat.completions.create(model="ep_1", messages=MESSAGES, stream=True))
        assert len(server.requests) == 2
    assert (caught.value.chunks_received, also.value.chunks_received) == (2, 2)


async def test_the_handshake_of_a_stream_is_tried_again_and_then_gives_the_services_error() -> None:
    def refusing(conversation: Conversation) -> None:
        while conversation.read_request():
            conversation.send(b'HTTP/1.1 429 Slow\r\nretry-after: 0\r\ncontent-length: 21\r\n\r\n{"detail": "slow..."}')

    with serving(refusing) as server:
        async with AsyncPareta(api_key=KEY, base_url=server.url, max_retries=1) as client:
            stream = await client.chat.completions.create(model="ep_1", messages=MESSAGES, stream=True)
            with pytest.raises(RateLimitError):
                await anext(stream)
        assert len(server.requests) == 2
