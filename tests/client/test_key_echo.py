"""A service that says the key back: no error, log line, answer, note or row may show it."""

import html
import io
import json
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as some

from pareta_client import APIStatusError, AsyncPareta, AuthenticationError, Pareta, ParetaError
from pareta_client.core.call import post
from pareta_client.core.steps import Failed, Received, Reply
from pareta_client.core.streams import Progress, chat_chunks
from pareta_client.errors import APIConnectionError
from pareta_client.operations.chat import complete
from pareta_client.operations.endpoints import deploy_and_wait, deploy_call
from pareta_client.secret import REDACTED, Secret
from pareta_client.settings import Options, Settings
from tests.client.playing import Played, play
from tests.client.servers import STREAM_HEAD, Conversation, serving

KEY = "pareta_sk_9f8A7b6c5D4e3F2a1b0C9d8e7f6a5b4c"
ODD_KEY = 'sk-A/b+c=d"e\\f&g<h>i%j~k.l:m'
ASK = post("/v1/chat/completions", "key-1", {})
STREAMED = post("/v1/chat/completions", "key-1", {}, streamed=True)
MESSAGES = [{"role": "user", "content": "hello"}]


def with_key(key: str) -> Settings:
    return Settings("http://localhost", Secret(key), Options(0), jitter=lambda: 0.0, new_key=lambda: "k")


def percent(text: str) -> str:
    return "".join(f"%{ord(character):02X}" for character in text)


SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "in a header": lambda key: f"Bearer {key}",
    "upper case": str.upper,
    "lower case": str.lower,
    "quoted for a URL": lambda key: quote(key, safe=""),
    "percent by percent": percent,
    "quoted twice": lambda key: quote(percent(key)),
    "JSON": json.dumps,
    "JSON in JSON": lambda key: json.dumps(json.dumps(key)),
    "unicode escapes": lambda key: "".join(f"\\u{ord(character):04x}" for character in key),
    "HTML": html.escape,
    "HTML numbers": lambda key: "".join(f"&#{ord(character)};" for character in key),
    "repr": repr,
    "cut short": lambda key: key[: -(len(key) // 5)],
    "between words": lambda key: f"the key{key}is wrong",
}
spellings = pytest.mark.parametrize("name", SPELLINGS)
keys = pytest.mark.parametrize("key", [KEY, ODD_KEY])


def betrays(text: str, key: str) -> bool:
    """Check whether most of the key can be read in a text, whichever way it is encoded."""
    for _ in range(3):
        text = unquote(html.unescape(text.replace("\\u00", "%").replace("\\x", "%")))
    text, key = text.replace("\\", "").lower(), key.replace("\\", "").lower()
    return key[: len(key) * 7 // 10] in text or key[len("pareta_sk_") :] in text


def all_of(thing: Any) -> str:
    """Everything that can be seen of an error or an answer."""
    shown = [repr(thing), str(thing), pickle.dumps(thing).decode("latin-1")]
    if isinstance(thing, BaseException):
        shown += [*traceback.format_exception(thing), repr(vars(thing))]
    if isinstance(thing, APIStatusError) and thing.response is not None:
        shown += [thing.response.text, repr(thing.response.headers.raw)]
    return "\n".join(shown)


def seen(played: Played[Any]) -> str:
    things = [played.error, played.result, *played.emitted]
    return "\n".join(all_of(thing) for thing in things if thing is not None)


def bodies(text: str) -> Iterator[bytes]:
    yield f"Incorrect API key provided: {text}.".encode()
    yield json.dumps({"detail": f"Incorrect API key provided: {text}."}).encode()
    yield json.dumps({"error": {"message": f"no such key: {text}", "keys": [text, {text: text}]}}).encode()
    yield json.dumps(
        {"choices": [{"message": {"content": text}, "finish_reason": text}], "usage": {"prompt_tokens": text}}
    ).encode()
    yield f"<html>{text}</html>".encode("utf-16")
    yield f'data: {{"error": {{"message": {json.dumps(text)}}}}}\n\n'.encode()
    yield b"\xff" + text.encode() + b"\x00"


@keys
@spellings
@pytest.mark.parametrize("status", [200, 401, 500, 302])
def test_no_body_and_no_header_shows_the_key(name: str, status: int, key: str) -> None:
    told = SPELLINGS[name](key)
    assert betrays(told, key) or name in ("repr", "JSON in JSON")
    headers = [
        (name.encode(), told.encode()) for name in ("x-request-id", "location", "content-type", "x-pareta-billed")
    ]
    for body in bodies(told):
        shown = seen(play(complete(ASK, with_key(key)), [Reply(status, headers, body)]))
        assert not betrays(shown, key), shown
        assert REDACTED in shown


@keys
@spellings
def test_no_stream_shows_the_key(name: str, key: str) -> None:
    told = SPELLINGS[name](key)
    events = [
        json.dumps({"choices": [{"delta": {"content": told}}]}), json.dumps({"error": {"message": told, "code": 401}}),
        json.dumps({"error": told}), told, f"{{{told}",
    ]  # fmt: skip
    for event in events:
        for content in (f"data: {event}\n\n", f"event: error\ndata: {event}\n\n", f"error: {event}\n\n"):
            halves = [Received(content.encode()[:30]), Received(content.encode()[30:]), Received(b""), Received(b"")]
            coming: list[Reply | Failed | Received] = [Reply(200, [], b""), *halves]
            shown = seen(play(chat_chunks(STREAMED, with_key(key), Progress()), coming))
            assert not betrays(shown, key), shown
            deploying: list[Reply | Failed | Received] = [Reply(200, [], b""), *halves]
            call = deploy_call("t", "m", None, {}, "k")
            assert not betrays(seen(play(deploy_and_wait(call, with_key(key)), deploying)), key)


def test_a_key_cut_over_the_chunks_of_an_unasked_stream_is_found() -> None:
    parts = [KEY[at : at + 5] for at in range(0, len(KEY), 5)]
    body = b"".join(
        b"data: %s\n\n" % json.dumps({"choices": [{"delta": {"content": part}}]}).encode() for part in parts
    )
    played = play(complete(ASK, with_key(KEY)), [Reply(200, [], body + b"data: [DONE]\n\n")])
    assert played.result is not None
    assert played.result.choices[0].message.content == REDACTED


def test_an_answer_that_held_the_key_is_noted() -> None:
    body = json.dumps({"choices": [{"message": {"content": f"it is {KEY}, 100% sure"}}]}).encode()
    played = play(complete(ASK, with_key(KEY)), [Reply(200, [], body)])
    assert played.result is not None
    assert played.result.choices[0].message.content == f"it is {REDACTED}, 100% sure"
    assert "API key" in played.result.notes[0]


def test_a_transport_that_quotes_what_it_cannot_read_does_not_show_the_key() -> None:
    quoting = ValueError(f"illegal header line: x-key {KEY}")
    error = APIConnectionError(f"RemoteProtocolError: {quoting}", cause=quoting, request_id="req_1")
    headers = [(b"x-request-id", KEY.encode())]
    played = play(complete(ASK, with_key(KEY)), [Failed(error, headers=headers)])
    assert isinstance(played.error, APIConnectionError)
    assert not betrays(all_of(played.error), KEY)
    quiet = APIConnectionError("reset", cause=OSError("reset by peer"))
    played = play(complete(ASK, with_key(KEY)), [Failed(quiet)])
    assert played.error is quiet


@pytest.mark.parametrize("key", ["x", "none", "EMPTY", "sk-test"])
def test_a_placeholder_is_no_secret(key: str) -> None:
    assert Secret(key).redacted(b"none of the x is EMPTY or sk-test") == b"none of the x is EMPTY or sk-test"


CHARACTERS = "".join(map(chr, range(33, 127)))


@given(
    key=some.text(CHARACTERS, min_size=8, max_size=60)
    | some.from_regex(r"([a-z]{1,9}[_-]){0,5}[a-zA-Z0-9]{8,50}", fullmatch=True)
)
def test_any_key_is_found_in_any_spelling(key: str) -> None:
    secret = Secret(key)
    for name in ("plain", "upper case", "quoted for a URL", "percent by percent", "JSON", "unicode escapes", "HTML"):
        told = SPELLINGS[name](key)
        assert REDACTED in secret.redacted_text(f"bad key {told}."), (name, told)
        assert secret.redacted_text(f"bad key {told}.").count(key) == 0


@given(text=some.text(), key=some.sampled_from([KEY, ODD_KEY]))
def test_other_texts_are_left_alone(text: str, key: str) -> None:
    assert Secret(key).redacted_text(text) == text
    assert Secret(key).redacted_text("keys begin with pareta_sk_ or sk-") == "keys begin with pareta_sk_ or sk-"


@given(before=some.binary(max_size=30), after=some.binary(max_size=30), name=some.sampled_from(list(SPELLINGS)))
def test_what_surrounds_a_key_does_not_hide_it(before: bytes, after: bytes, name: str) -> None:
    clean = Secret(KEY).redacted(before + SPELLINGS[name](KEY).encode() + after)
    assert not betrays(clean.decode("latin-1"), KEY)


REFUSAL = json.dumps({"detail": f"Incorrect API key provided: {KEY}."}).encode()


def echoing(conversation: Conversation) -> None:
    while request := conversation.read_request():
        if b'"stream":true' in request:
            conversation.send(STREAM_HEAD)
            conversation.chunk(b'data: {"error": {"message": "bad key %s"}}\n\n' % KEY.encode())
            conversation.chunk(b"")
        else:
            head = b"HTTP/1.1 401 No\r\nx-request-id: %s\r\ncontent-length: %d\r\n\r\n" % (KEY.encode(), len(REFUSAL))
            conversation.send(head + REFUSAL)


async def test_neither_client_shows_nor_logs_a_key_that_comes_back() -> None:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    log = logging.getLogger("pareta_client")
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    errors: list[ParetaError] = []
    try:
        with serving(echoing) as server:
            async with AsyncPareta(api_key=KEY, base_url=server.url, max_retries=0) as client:
                with pytest.raises(AuthenticationError) as caught:
                    await client.chat.completions.create(model="ep_1", messages=MESSAGES)
                errors.append(caught.value)
                with pytest.raises(ParetaError) as dropped:
                    await anext(await client.chat.completions.create(model="ep_1", messages=MESSAGES, stream=True))
                errors.append(dropped.value)
            with Pareta(api_key=KEY, base_url=server.url, max_retries=0) as blocking:
                with pytest.raises(AuthenticationError) as also:
                    blocking.models.list()
                errors.append(also.value)
    finally:
        log.removeHandler(handler)
        log.setLevel(logging.NOTSET)
    assert "-> 401" in written.getvalue()
    assert not betrays(written.getvalue() + "".join(map(all_of, errors)), KEY)
    assert str(errors[0]) == f"Incorrect API key provided: {REDACTED}."
