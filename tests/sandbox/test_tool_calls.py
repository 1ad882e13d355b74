"""What a reply has besides its text: tool calls, log probabilities and reasoning, complete and as a stream."""

import json
import math
from typing import Any

import httpx
import pytest

from pareta_sandbox.testing import Sandbox
from tests.sandbox.talk import MIT, QUESTION, chunks, complete

SCHEMA = {"type": "object", "properties": {"license": {"type": "string"}, "pages": {"type": "integer"}}}
FILE = {"type": "function", "function": {"name": "file_licence", "parameters": SCHEMA}}
SKIP = {"type": "function", "function": {"name": "skip"}}


def choice_of(reply: httpx.Response) -> Any:  # any JSON value
    assert reply.status_code == 200, reply.text
    return reply.json()["choices"][0]


def assembled(reply: httpx.Response) -> dict[str, Any]:
    """Put the chunks of a stream together: message, log probabilities and finish reason of the first choice."""
    message: dict[str, Any] = {"content": "", "reasoning_content": "", "tool_calls": []}
    likely: list[Any] = []
    finish = None
    for each in chunks(reply.text):
        choices: Any = each["choices"]
        delta = choices[0]["delta"]
        for name in ("content", "reasoning_content"):
            message[name] += delta.get(name) or ""
        for call in delta.get("tool_calls", ()):
            if call["index"] == len(message["tool_calls"]):
                message["tool_calls"].append({name: value for name, value in call.items() if name != "index"})
            else:
                known = message["tool_calls"][call["index"]]["function"]
                known["arguments"] += call["function"]["arguments"]
        likely += (choices[0].get("logprobs") or {"content": []})["content"]
        finish = choices[0]["finish_reason"] or finish
    return {"message": message, "logprobs": likely, "finish_reason": finish}


@pytest.mark.parametrize("choice", [None, "auto", "required", {"type": "function", "function": {"name": "skip"}}])
def test_a_request_with_tools_gets_a_call(http: httpx.Client, choice: object) -> None:
    fields: dict[str, Any] = {"tools": [FILE, SKIP]} | ({"tool_choice": choice} if choice else {})
    first = choice_of(complete(http, **fields))
    assert (first["finish_reason"], first["message"]["content"]) == ("tool_calls", None)
    (call,) = first["message"]["tool_calls"]
    assert (call["type"], call["id"][:5]) == ("function", "call_")
    if isinstance(choice, dict):
        assert call["function"] == {"name": "skip", "arguments": "{}"}
    else:
        assert call["function"]["name"] == "file_licence"
        assert json.loads(call["function"]["arguments"]) == {"license": "MIT", "pages": 0}


def test_a_choice_of_none_and_the_result_of_a_call_are_answered_with_text(http: httpx.Client) -> None:
    assert choice_of(complete(http, tools=[FILE], tool_choice="none"))["message"]["content"] == "MIT"
    question = {"role": "user", "content": f"{QUESTION}\n\n{MIT}"}
    call = choice_of(complete(http, tools=[FILE]))["message"]
    result = {"role": "tool", "tool_call_id": call["tool_calls"][0]["id"], "content": "filed"}
    body = {"model": "ep_seed_licenses", "messages": [question, call, result], "tools": [FILE]}
    first = choice_of(http.post("/v1/chat/completions", json=body))
    assert (first["message"], first["finish_reason"]) == ({"role": "assistant", "content": "MIT"}, "stop")


@pytest.mark.parametrize(
    "tools", [[], [{"type": "function"}], [{"type": "function", "function": {"name": ""}}], "file_licence"]
)
def test_tools_without_a_function_are_refused(http: httpx.Client, tools: object) -> None:
    assert complete(http, tools=tools).status_code == 422


def test_log_probabilities_are_those_of_the_answers_tokens(http: httpx.Client) -> None:
    first = choice_of(complete(http, "Licensed under the Apache License, Version 2.0", logprobs=True, top_logprobs=2))
    tokens = first["logprobs"]["content"]
    assert "".join(each["token"] for each in tokens) == first["message"]["content"] == "Apache-2.0"
    for each in tokens:
        assert bytes(each["bytes"]).decode() == each["token"]
        assert each["top_logprobs"][0] == {name: each[name] for name in ("token", "logprob", "bytes")}
        assert sum(math.exp(likely["logprob"]) for likely in each["top_logprobs"]) <= 1
        assert len(each["top_logprobs"]) == 2
    assert complete(http, logprobs=True, top_logprobs=21).status_code == 422
    assert "logprobs" not in choice_of(complete(http))


def test_reasoning_is_part_of_the_bill_and_of_the_maximum(http: httpx.Client) -> None:
    plain, reasoned = complete(http).json(), complete(http, reasoning_effort="low").json()
    message = reasoned["choices"][0]["message"]
    assert (message["content"], bool(message["reasoning_content"])) == ("MIT", True)
    assert reasoned["usage"]["completion_tokens"] > plain["usage"]["completion_tokens"]
    cut = complete(http, reasoning_effort="low", max_tokens=4).json()
    assert cut["usage"]["completion_tokens"] == 4
    assert (cut["choices"][0]["message"]["content"], cut["choices"][0]["finish_reason"]) == ("", "length")
    assert "reasoning_content" not in complete(http, reasoning_effort="none").json()["choices"][0]["message"]


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [FILE]},
        {"tools": [FILE], "reasoning_effort": "high"},
        {"tools": [SKIP], "n": 2},
        {"logprobs": True, "top_logprobs": 3},
        {"logprobs": True, "reasoning_effort": "low", "n": 2},
        {"tools": [FILE], "max_tokens": 2},
    ],
)
def test_a_stream_its_replay_and_a_complete_reply_have_the_same_parts(
    http: httpx.Client, sandbox: Sandbox, fields: dict[str, Any]
) -> None:
    whole = choice_of(complete(http, **fields))
    for _ in range(2):
        streamed = assembled(complete(http, key="k1", stream=True, **fields))
        message = streamed["message"]
        assert message["content"] == (whole["message"]["content"] or "")
        assert message["reasoning_content"] == whole["message"].get("reasoning_content", "")
        assert message["tool_calls"] == whole["message"].get("tool_calls", [])
        assert streamed["logprobs"] == (whole.get("logprobs") or {"content": []})["content"]
        assert streamed["finish_reason"] == whole["finish_reason"]
    first, second = (debit.amount_micro_usd for debit in sandbox.books().debits)
    assert first == second
