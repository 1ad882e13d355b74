"""What goes wrong inside a stream, and the bounds on the whole of it."""

import gzip
import json
import pickle
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from pareta_client import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AsyncPareta,
    InsufficientCreditsError,
    MalformedReplyError,
    Pareta,
    ParetaError,
    RateLimitError,
)
from pareta_client.core.call import post
from pareta_client.core.steps import Failed, Received, Reply
from pareta_client.core.streams import Progress, chat_chunks, deploy_events
from pareta_client.operations.endpoints import deploy_call
from tests.client.playing import KEY, Played, play, reply, settings
from tests.client.servers import STREAM_HEAD, Conversation, serving

ASK = post("/v1/chat/completions", "key-1", {}, streamed=True)
MESSAGES = [{"role": "user", "content": "hello"}]
DONE = b"data: [DONE]\n\n"
RECEIPT = b": pareta-billed-micro-usd 42\n\n"


def event(chunk: object) -> bytes:
    return b"data: %s\n\n" % json.dumps(chunk).encode()


def piece(text: str, **more: Any) -> bytes:
    return event({"choices": [{"index": 0, "delta": {"content": text}, **more}]})


def streamed(*pieces: bytes, progress: Progress | None = None, **headers: Any) -> Played[None]:
    coming: list[Reply | Failed | Received] = [reply(**headers), *map(Received, pieces), Received(b""), Received(b"")]
    return play(chat_chunks(ASK, settings(), progress or Progress()), coming)


def texts(played: Played[None]) -> list[str]:
    return [choice.delta.content for chunk in played.emitted for choice in chunk.choices]


ERRORS: list[tuple[bytes, type[ParetaError]]] = [
    (event({"error": {"message": "died"}}), APIConnectionError),
    (event({"error": "died"}), APIConnectionError),
    (event({"error": {"message": "died", "code": 402}}), InsufficientCreditsError),
    (event({"error": {"message": "died", "code": "429"}}), RateLimitError),
    (event({"error": {"message": "died", "code": "server_error"}, "choices": []}), APIConnectionError),
    (event({"object": "error", "message": "died", "type": "InternalServerError", "code": 500}), APIStatusError),
    (event({"detail": "died"}), APIConnectionError),
    (event({"id": "c", "error": {"message": "died"}, "choices": [{"delta": {"content": ""}}]}), APIConnectionError),
    (event({"choices": [{"delta": {}, "error": {"message": "died", "code": 502}}]}), APIStatusError),
    (event({"choices": [{"delta": {}}, {"delta": {}, "error": "died"}]}), APIConnectionError),
    (b'event: error\ndata: {"message": "died"}\n\n', APIConnectionError),
    (b'event: error\ndata: {"error": {"message": "died", "status": 429}}\n\n', RateLimitError),
    (b"event: error\ndata: died\n\n", APIConnectionError),
    (b'error: {"code":500,"message":"died","type":"server_error"}\n\n', APIStatusError),
    (b"error: died\n", APIConnectionError),
    (b"Error: died\n", APIConnectionError),
    (b'event: Error\ndata: {"message": "died"}\n\n', APIConnectionError),
    (event({"message": "died", "code": 429}), RateLimitError),
    (event({"status": "439", "msg": "died", "body": None}), APIStatusError),
    (event({"type": "error", "message": "died"}), APIConnectionError),
    (event({"status": "error", "reason": "died"}), APIConnectionError),
    (event({"success": False, "reason": "died"}), APIConnectionError),
    (event({"errors": [{"message": "died"}]}), APIConnectionError),
    (b'{"error": {"message": "died", "code": 402}}\n\n', InsufficientCreditsError),
    (b'{"error": {"message": "died"}}', APIConnectionError),
]


@pytest.mark.parametrize(("told", "kind"), ERRORS, ids=lambda value: str(value)[:60])
@pytest.mark.parametrize("end", [DONE, b""])
def test_an_error_in_a_stream_raises_whatever_its_shape(told: bytes, kind: type[ParetaError], end: bytes) -> None:
    played = streamed(piece("half") + RECEIPT + told + end, x_request_id="req_1")
    assert texts(played) == ["half"]
    assert isinstance(played.error, kind)
    assert "died" in str(played.error)
    assert (played.error.chunks_received, played.error.billed_micro_usd, played.error.attempts) == (1, 42, 1)
    assert getattr(played.error, "request_id", None) == "req_1"
    assert pickle.loads(pickle.dumps(played.error)).chunks_received == 1


@pytest.mark.parametrize("told", [b"event: error\n\n", b"event: error\ndata:\n\n"])
def test_an_error_without_a_word_raises_too(told: bytes) -> None:
    played = streamed(piece("half") + told + DONE)
    assert isinstance(played.error, APIConnectionError)
    assert played.error.chunks_received == 1


@pytest.mark.parametrize(
    "chunk",
    [{"choices": []}, {"choices": [], "usage": {"total_tokens": 3}}, {"usage": {}}, {"type": "ping"}, {"id": "c"}],
    ids=str,
)
def test_a_chunk_without_a_choice_is_no_error(chunk: dict[str, Any]) -> None:
    played = streamed(piece("a") + event(chunk) + piece("b") + DONE)
    assert (texts(played), played.error) == (["a", "b"], None)


@pytest.mark.parametrize("reason", ["abort", "ERROR", "cancelled", {"type": "abort"}])
def test_an_answer_that_the_service_broke_off_is_no_end_of_a_stream(reason: object) -> None:
    played = streamed(piece("half") + piece("", finish_reason=reason) + DONE)
    assert texts(played) == ["half"]
    assert isinstance(played.error, APIConnectionError)
    assert played.error.chunks_received == 1
    assert "aborted the answer" in str(played.error)


@pytest.mark.parametrize(
    "body", [DONE, RECEIPT + DONE, event({"id": "c"}) + DONE, event({"choices": []}) + DONE, event({"msg": "x"}) + DONE]
)
def test_a_stream_without_a_choice_is_a_drop(body: bytes) -> None:
    assert isinstance(streamed(body).error, APIConnectionError)


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b'{"choices": []}', ""), (b"<html>", ""), (b"no stream", "application/json"), (b"data: 7\n\n", ""),
     (b"data: half {\n\n", "text/event-stream")],
)  # fmt: skip
def test_what_is_no_event_stream_is_a_malformed_reply(body: bytes, kind: str) -> None:
    played = streamed(body, content_type=kind, x_pareta_billed="42")
    assert isinstance(played.error, MalformedReplyError)
    assert played.error.billed_micro_usd == 42


GOOD = {
    "a byte order mark": (b"\xef\xbb\xbf" + piece("one "), piece("two") + DONE),
    "a cut byte order mark": (b"\xef", b"\xbb\xbf" + piece("one ") + piece("two") + DONE),
    "no blank lines": (piece("one ")[:-1] + piece("two")[:-1] + DONE[:-1],),
    "no last blank line": (piece("one ") + piece("two") + DONE[:-1],),
    "carriage returns": ((piece("one ") + piece("two") + DONE).replace(b"\n", b"\r\n"),),
    "another content type": (b": hello\n\n" + piece("one ") + piece("two") + DONE,),
    "an error that is none": (piece("one "), b"error: null\n\n", event({"error": None}), piece("two"), DONE),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_an_odd_stream_is_read(name: str) -> None:
    played = streamed(*GOOD[name], content_type="application/json" if "content type" in name else "text/event-stream")
    assert "".join(texts(played)) == "one two"
    assert played.error is None


@pytest.mark.parametrize("after", [(DONE + RECEIPT,), (DONE, RECEIPT), (DONE, b": pareta-billed", RECEIPT[15:])])
def test_a_receipt_right_after_done_is_read(after: tuple[bytes, ...]) -> None:
    progress = Progress()
    assert streamed(piece("one"), *after, progress=progress).error is None
    assert progress.receipt.billed_micro_usd == 42


def test_odd_values_of_chunks_are_noted() -> None:
    progress = Progress()
    played = streamed(
        event({"choices": [{"index": "0", "delta": {"content": ["one"]}}], "usage": 7}) + DONE, progress=progress
    )
    assert texts(played) == ["one"]
    assert progress.notes == ["usage is 7: not an object, ignored"]


def dripping(*, keep_alives: int, each: float, **options: Any) -> Played[None]:
    """A stream of keep-alives that arrive some seconds apart."""
    pings = [Received(b": ping\n\n", at=each * number) for number in range(1, keep_alives)]
    end = Received(piece("late") + DONE, at=each * keep_alives)
    coming: list[Reply | Failed | Received] = [reply(), *pings, end, Received(b"")]
    return play(chat_chunks(ASK, settings(**options), Progress()), coming)


@pytest.mark.parametrize("options", [{"timeout": 2.0}, {"deadline": 2.0}, {"timeout": 9.0, "deadline": 2.0}])
def test_keep_alives_do_not_outlast_timeout_and_deadline(options: dict[str, float]) -> None:
    late = dripping(keep_alives=9, each=0.5, **options)
    assert isinstance(late.error, APITimeoutError)
    assert "expired" in str(late.error)
    assert dripping(keep_alives=3, each=0.5, **options).error is None


def test_a_deployment_may_take_longer_than_a_timeout_but_not_fall_silent() -> None:
    def deploying(each: float, told: bytes) -> Played[None]:
        events = [Received(told, at=each * number) for number in range(1, 9)]
        end = Received(b'event: complete\ndata: {"endpoint": {}}\n\n', at=each * 9)
        coming: list[Reply | Failed | Received] = [reply(), *events, end, Received(b"")]
        return play(deploy_events(deploy_call("t", "m", None, {}, "k"), settings(timeout=2.0), Progress()), coming)

    assert deploying(1.5, b'event: progress\ndata: {"pct": 1}\n\n').error is None
    assert isinstance(deploying(1.5, b": ping\n\n").error, APITimeoutError)


@given(
    pieces=some.lists(
        some.binary(max_size=40) | some.sampled_from([piece("a"), DONE, RECEIPT, b"data: ", b"event: error\n", b"\n\n"])
        | some.sampled_from([told for told, _ in ERRORS]),
        max_size=6,
    )
)  # fmt: skip
def test_any_stream_ends_well_or_with_an_error_of_ours(pieces: list[bytes]) -> None:
    played = streamed(*[each for each in pieces if each])
    assert played.error is None or isinstance(played.error, ParetaError)
    assert played.error is not None or played.emitted


def pinging(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.send(STREAM_HEAD)
    while not conversation.ended.wait(0.02):
        conversation.chunk(b": ping\n\n")


def open_ended(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.send(STREAM_HEAD)
    conversation.chunk(piece("one") + DONE)
    conversation.chunk(RECEIPT)
    conversation.wait_until_left()


def zipped(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.send(STREAM_HEAD.replace(b"\r\n\r\n", b"\r\ncontent-encoding: gzip\r\n\r\n"))
    for part in (piece("one "), piece("two"), DONE):
        conversation.chunk(gzip.compress(part))
    conversation.chunk(b"")


OPTIONS: list[dict[str, float]] = [{"timeout": 0.3}, {"deadline": 0.3}]


@pytest.mark.parametrize("options", OPTIONS)
async def test_both_faces_end_a_stream_of_keep_alives(options: dict[str, float]) -> None:
    with serving(pinging) as server:
        async with AsyncPareta(api_key=KEY, base_url=server.url) as client:
            stream = await client.with_options(**options).chat.completions.create(  # type: ignore[arg-type]
                model="ep_1", messages=MESSAGES, stream=True
            )
            with pytest.raises(APITimeoutError):
                await anext(stream)
        with Pareta(api_key=KEY, base_url=server.url) as blocking:
            view = blocking.with_options(**options)  # type: ignore[arg-type]
            with pytest.raises(APITimeoutError):
                next(view.chat.completions.create(model="ep_1", messages=MESSAGES, stream=True))


def silent_after(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.send(STREAM_HEAD)
    conversation.chunk(b": ping\n\n")
    conversation.wait_until_left()


def test_the_blocking_face_ends_a_silent_stream_at_its_deadline() -> None:
    with serving(silent_after) as server, Pareta(api_key=KEY, base_url=server.url, timeout=60) as client:
        stream = client.chat.completions.create(model="ep_1", messages=MESSAGES, stream=True, deadline=0.5)
        with pytest.raises(APITimeoutError):
            next(stream)


async def test_both_faces_end_soon_after_done_though_the_connection_stays_open() -> None:
    with serving(open_ended) as server:
        async with AsyncPareta(api_key=KEY, base_url=server.url) as client:
            stream = await client.chat.completions.create(model="ep_1", messages=MESSAGES, stream=True)
            assert len([chunk async for chunk in stream]) == 1
            assert stream.billed_micro_usd == 42
        with Pareta(api_key=KEY, base_url=server.url, timeout=300) as blocking:
            began = time.monotonic()
            also = blocking.chat.completions.create(model="ep_1", messages=MESSAGES, stream=True)
            assert len(list(also)) == 1
            assert also.billed_micro_usd == 42
            assert time.monotonic() - began < 60  # not the 300 seconds of its read timeout


async def test_both_faces_read_a_stream_of_several_gzip_members() -> None:
    with serving(zipped) as server:
        async with AsyncPareta(api_key=KEY, base_url=server.url) as client:
            stream = await client.chat.completions.create(model="ep_1", messages=MESSAGES, stream=True)
            assert len([chunk async for chunk in stream]) == 2
        with Pareta(api_key=KEY, base_url=server.url) as blocking:
            assert len(list(blocking.chat.completions.create(model="ep_1", messages=MESSAGES, stream=True))) == 2
