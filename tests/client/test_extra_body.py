"""`extra_body`: further fields of the request, as with OpenAI's SDK."""

import json
from typing import Any

import pytest

from pareta_client import Pareta
from pareta_client.operations.chat import chat_call
from tests.client.playing import KEY
from tests.client.servers import answering, serving

MESSAGES = [{"role": "user", "content": "hello"}]


def sent(stream: bool = False, **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(chat_call("ep_1", MESSAGES, stream, fields, "key-1").content)
    return body


def test_its_fields_are_those_of_the_request_and_win() -> None:
    body = sent(
        temperature=0.5, options={"a": 1, "b": 2}, extra_body={"temperature": 0, "options": {"a": 3}, "top_k": 5}
    )
    assert body == {"model": "ep_1", "messages": MESSAGES, "temperature": 0, "options": {"a": 3}, "top_k": 5}
    assert sent(extra_body={"model": "ep_2"})["model"] == "ep_2"


@pytest.mark.parametrize("extra", [None, {}])
def test_an_empty_one_changes_nothing(extra: dict[str, Any] | None) -> None:
    assert sent(extra_body=extra) == sent()


@pytest.mark.parametrize("name", ["timeout", "idempotency_key", "deadline", "max_retries", "extra_body"])
def test_it_may_not_name_an_argument_of_the_client(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        sent(extra_body={name: 1})


@pytest.mark.parametrize("extra", ["top_k=5", [("top_k", 5)], 7])
def test_it_must_be_a_mapping(extra: Any) -> None:
    with pytest.raises(TypeError, match="extra_body"):
        sent(extra_body=extra)


def test_it_may_not_contradict_how_the_answer_is_read() -> None:
    assert sent(stream=True, extra_body={"stream": True})["stream"] is True
    with pytest.raises(ValueError, match="stream"):
        sent(stream=True, extra_body={"stream": False})
    with pytest.raises(ValueError, match="stream"):
        sent(extra_body={"stream": True})


def test_it_reaches_the_service_merged() -> None:
    with serving(answering()) as server, Pareta(api_key=KEY, base_url=server.url) as client:
        client.chat.completions.create(model="ep_1", messages=MESSAGES, extra_body={"top_k": 5})
        assert json.loads(server.requests[0].partition(b"\r\n\r\n")[2])["top_k"] == 5
        with pytest.raises(ValueError, match="deadline"):
            client.chat.completions.create(model="ep_1", messages=MESSAGES, extra_body={"deadline": 5})
        assert len(server.requests) == 1
