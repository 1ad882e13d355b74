"""Which success is an answer, what its values are, and what is noted about it."""

import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from pareta_client.core.call import post
from pareta_client.core.finish import Finish, finish_of
from pareta_client.core.steps import Failed, Received, Reply
from pareta_client.core.values import MAX_COUNT
from pareta_client.errors import APIConnectionError, MalformedReplyError, ParetaError
from pareta_client.models.chat import ChatCompletion
from pareta_client.operations.chat import complete
from pareta_client.retry import Verdict, verdict_of
from tests.client.playing import Played, play, reply, settings

ASK = post("/v1/chat/completions", "key-1", {})


def completion(content: object = "hello", finish: object = "stop", **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content, **more.pop("message", {})}
    return {"id": "c", "choices": [{"index": 0, "message": message, "finish_reason": finish}], **more}


def asked(body: object, status: int = 200, **headers: str | bytes) -> Played[ChatCompletion]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return play(complete(ASK, settings(max_retries=0)), [reply(status, content, **headers)])


def answered(body: object, status: int = 200, **headers: str | bytes) -> ChatCompletion:
    played = asked(body, status, **headers)
    assert played.error is None, played.error
    assert played.result is not None
    return played.result


def text_of(answer: ChatCompletion) -> str | None:
    return answer.choices[0].message.content


NO_ANSWERS = [
    b"", b" \n ", b"null", b"[]", b'"ok"', b"7", b"true", b"{}", b"\x00", b"<html>busy</html>", b"ok",
    {"success": False}, {"object": "error", "message": "engine died", "code": 500}, {"error": {"message": "no"}},
    {"detail": "overloaded"}, {"status": "439", "msg": "token expired", "body": None}, {"message": "slow down"},
    {"id": "c"}, {"choices": None}, {"choices": []}, {"choices": {}}, {"choices": "none"}, {"choices": [None]},
    {"choices": [[]]}, {"choices": [{}]}, {"choices": [{"message": None}]}, {"choices": [{"message": {}}]},
    {"choices": [{"message": "hello"}]}, {"choices": [{"message": {"role": "assistant", "content": None}}]},
    {"choices": [{"index": 0, "finish_reason": "stop"}]}, [completion()],
    completion(error={"code": 502, "message": "provider disconnected"}), completion(object="error"),
    {"choices": [{"message": {"content": "half"}, "error": {"message": "provider disconnected"}}]},
    completion("half", "abort"), completion("half", "ERROR"), completion("half", "Cancelled"),
    completion("half", {"type": "abort", "message": "out of memory"}),
    json.dumps(completion()).encode() * 2, json.dumps(completion()).encode() + b'\n{"done": true}',
    {"choices": [{"finish_reason": "length"}]},
]  # fmt: skip


@pytest.mark.parametrize("status", [200, 202, 204])
@pytest.mark.parametrize("body", NO_ANSWERS, ids=lambda body: str(body)[:60])
def test_a_success_without_a_usable_choice_is_no_answer_but_its_receipt_counts(body: object, status: int) -> None:
    played = asked(body, status, x_pareta_billed="42")
    assert isinstance(played.error, MalformedReplyError)
    assert verdict_of(played.error) is Verdict.TRANSIENT
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert played.error.excerpt == content.decode("utf-8", "replace")
    assert (played.error.billed_micro_usd, played.error.attempts, len(played.sends)) == (42, 1, 1)
    assert pickle.loads(pickle.dumps(played.error)).billed_micro_usd == 42


@pytest.mark.parametrize(
    "body",
    [
        completion(""), completion([]), completion(None), completion(None, "length"), completion("", None),
        completion(None, "tool_calls", message={"tool_calls": [{"id": "t1", "type": "function"}]}),
        completion(None, None, message={"tool_calls": [{"id": "t1"}]}), completion(None, "content_filter"),
        completion(None, None, message={"refusal": "I cannot"}),
        completion(None, None, message={"reasoning_content": "thinking"}),
        completion(None, None, message={"reasoning": "thinking"}),
        {"choices": [{"message": {"role": "assistant"}, "finish_reason": "stop"}]},
        {"choices": [{"finish_reason": "content_filter", "content_filter_results": {"hate": {"filtered": True}}}]},
        {"choices": [{"finish_reason": "SAFETY", "message": {}}]},
        completion(error=None), completion(error={}), completion(detail="archived"), completion(success=False),
    ],
    ids=lambda body: str(body)[:80],
)  # fmt: skip
def test_an_answer_that_is_empty_or_has_no_text_is_an_answer(body: dict[str, Any]) -> None:
    answer = answered(body)
    assert answer.notes == ()
    assert answer.to_dict() == body


CONTENTS: list[tuple[object, str, bool]] = [
    ([{"type": "text", "text": "billing"}], "billing", False),
    ([{"type": "text", "text": "bil"}, {"type": "text", "text": "ling"}], "billing", False),
    ([{"text": "billing"}], "billing", False),
    (["bil", "ling"], "billing", False),
    ([{"type": "output_text", "text": {"value": "billing"}}], "billing", False),
    ([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "a"}], "a", True),
    ([{"type": "image_url", "image_url": {"url": "u"}}], '[{"type": "image_url", "image_url": {"url": "u"}}]', True),
    ([7, None], "[7, null]", True),
    ({"team": "billing"}, '{"team": "billing"}', True),
    (7, "7", True),
    (0.5, "0.5", True),
    (False, "false", True),
]


@pytest.mark.parametrize(("content", "text", "is_noted"), CONTENTS, ids=lambda value: str(value)[:40])
def test_content_of_any_shape_is_a_text(content: object, text: str, is_noted: bool) -> None:
    answer = answered(completion(content))
    assert text_of(answer) == text
    assert bool(answer.notes) is is_noted
    assert all("content" in note for note in answer.notes)
    assert answer.to_dict()["choices"][0]["message"]["content"] == content


COUNTS: list[tuple[object, int | None]] = [
    (10, 10), ("10", 10), (42.0, 42), ("42.0", 42), (" 7 ", 7), (0, 0), (MAX_COUNT, MAX_COUNT),
    (str(MAX_COUNT), MAX_COUNT),
    (MAX_COUNT + 1, None), (2**63, None), (2**70, None), (-1, None), ("-1", None), (1.5, None), ("1.5", None),
    (True, None), ([10], None), ({}, None), ("", None), ("ten", None), ("1e3", None), ("٣", None), ("9" * 5000, None),
]  # fmt: skip


@pytest.mark.parametrize(("told", "count"), COUNTS, ids=lambda value: str(value)[:30])
@pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens", "total_tokens"])
def test_a_token_count_is_an_integer_in_its_range_or_unknown_with_a_note(
    name: str, told: object, count: int | None
) -> None:
    answer = answered(completion(usage={name: told}))
    assert getattr(answer.usage, name) == count
    assert type(getattr(answer.usage, name)) in (int, type(None))
    assert [name in note for note in answer.notes] == ([] if count is not None else [True])


@pytest.mark.parametrize("number", [b"NaN", b"-Infinity", b"1e999", b"9" * 5_000, b"9" * 400 + b".0"])
def test_a_number_that_is_none_does_not_cost_the_answer(number: bytes) -> None:
    body = b'{"choices": [{"message": {"content": "a"}}], "usage": {"prompt_tokens": %s}, "cost": %s}'
    answer = answered(body % (number, number), x_pareta_billed="42")
    assert (text_of(answer), answer.usage.prompt_tokens, answer.billed_micro_usd) == ("a", None, 42)
    assert answer.notes
    json.dumps(answer.to_dict(), allow_nan=False).encode()


@pytest.mark.parametrize(
    ("told", "amount"),
    [
        ("42", 42), ("42.0", 42), (" 42 ", 42), ("0", 0), ("42, 42", 42), (str(MAX_COUNT), MAX_COUNT),
        ("abc", None), ("", None),
        ("-1", None), ("42.5", None), ("1e3", None), (str(10**20), None), ("9" * 5000, None), ("42, 43", None),
        ("nan", None), (b"\xff", None), (b"\xb2", None),
    ],
)  # fmt: skip
def test_a_receipt_is_an_amount_or_unknown_with_a_note(told: str | bytes, amount: int | None) -> None:
    answer = answered(completion(), x_pareta_billed=told)
    assert answer.billed_micro_usd == amount
    assert [note[:26] for note in answer.notes] == ([] if amount is not None else ["the header x-pareta-billed"])


def test_a_repeated_receipt_counts_once_and_two_different_ones_are_unknown() -> None:
    for second, amount in ((b"42", 42), (b"43", None)):
        headers = [(b"X-Pareta-Billed", b"42"), (b"x-pareta-billed", second)]
        played = play(complete(ASK, settings()), [Reply(200, headers, json.dumps(completion()).encode())])
        assert played.result is not None
        assert played.result.billed_micro_usd == amount


ODD_FIELDS = [
    ("finish_reason", completion(finish={"type": "stop"})),
    ("finish_reason", completion(finish=7)),
    ("finish_reason", completion(finish=["stop"])),
    ("finish_reason", completion(finish="vibes")),
    ("choices", {"choices": [*completion()["choices"], None, 7]}),
    ("usage", completion(usage=[1])),
    ("role", completion(message={"role": 7})),
    ("model", completion(model=["m"])),
]


@pytest.mark.parametrize(("name", "body"), ODD_FIELDS)
def test_a_field_of_another_type_is_noted_and_costs_nothing(name: str, body: dict[str, Any]) -> None:
    answer = answered(body)
    assert text_of(answer) == "hello"
    assert len(answer.notes) == 1
    assert name in answer.notes[0]
    assert answer.choices[0].finish_reason in ("stop", "vibes", None)
    assert answer.to_dict() == body


def test_a_later_choice_that_broke_off_is_noted() -> None:
    two = completion()["choices"] + completion("half", "abort")["choices"]
    answer = answered({"choices": two})
    assert len(answer.choices) == 2
    assert "aborted" in answer.notes[0]
    two[1] = {**completion("half")["choices"][0], "error": {"message": "provider disconnected"}}
    assert "has an error" in answered({"choices": two}).notes[0]


TEMPLATE = b'{"choices": [{"message": {"content": "%s"}, "finish_reason": "stop"}]}'
LENIENT = [
    (TEMPLATE % rb"ok \ud83d", "ok \ufffd"),
    (TEMPLATE % rb"\udc00\ud83d\ude00", "\ufffd\U0001f600"),
    (TEMPLATE % b"line one\nline two", "line one\nline two"),
    (TEMPLATE % b"a\x00b\tc", "a\x00b\tc"),
    (TEMPLATE % b"caf\xe9", "caf\ufffd"),
    (b"\xef\xbb\xbf" + TEMPLATE % b"ok", "ok"),
    (TEMPLATE % b"ok" + b"\x00\x00", "ok"),
    (TEMPLATE % rb"it\'s \alpha \u12 \\q \"x\"", 'it\'s \\alpha \\u12 \\q "x"'),
    (TEMPLATE % b"ok" + b"\n\ndata: [DONE]\n\n", "ok"),
    (TEMPLATE % b"ok" + b"<!-- served by cache 7 -->", "ok"),
    (TEMPLATE % b"ok" + b"}", "ok"),
]


@pytest.mark.parametrize(("body", "text"), LENIENT, ids=[str(case[1].encode("utf-8")) for case in LENIENT])
def test_one_odd_character_does_not_cost_a_paid_answer(body: bytes, text: str) -> None:
    answer = answered(body, x_pareta_billed="42")
    assert (text_of(answer), answer.billed_micro_usd) == (text, 42)
    assert "leniently" in answer.notes[0]
    assert json.loads(json.dumps(answer.to_dict()).encode()) == answer.to_dict()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_json_in_another_encoding_is_read(encoding: str) -> None:
    assert text_of(answered((TEMPLATE % "caf\u00e9".encode()).decode().encode(encoding))) == "caf\u00e9"


@pytest.mark.parametrize("levels", [101, 250, 1_200, 100_000])
def test_deep_nesting_beside_or_in_the_content_is_kept_as_text(levels: int) -> None:
    deep = b"[" * levels + b"]" * levels
    beside = answered(b'{"choices": [{"message": {"content": "a[{"}}], "debug": %s}' % deep)
    assert text_of(beside) == "a[{"
    json.dumps(beside.to_dict())
    inside = answered(b'{"choices": [{"message": {"content": %s}}]}' % deep)
    assert inside.notes
    assert isinstance(text_of(inside), str)
    assert isinstance(asked(b"[" * levels).error, MalformedReplyError)


SSE = [
    b'data: {"id": "c", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "one "}}]}\n\n',
    b'data: {"choices": [{"index": 0, "delta": {"content": "two"}, "finish_reason": "stop"}]}\n\n',
    b'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": "2"}}\n\n',
    b": pareta-billed-micro-usd 40\n\n",
    b"data: [DONE]\n\n",
]


@pytest.mark.parametrize("body", [b"".join(SSE), b"\xef\xbb\xbf\n" + b"".join(SSE), b": ping\n\n" + b"".join(SSE)])
def test_an_event_stream_that_nobody_asked_for_is_assembled(body: bytes) -> None:
    answer = answered(body, content_type="text/event-stream", x_request_id="req_1")
    assert (text_of(answer), answer.choices[0].finish_reason, answer.choices[0].message.role) == (
        "one two", "stop", "assistant",
    )  # fmt: skip
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (3, 2)
    assert (answer.billed_micro_usd, answer.request_id, answer.id, answer.object) == (
        40, "req_1", "c", "chat.completion",
    )  # fmt: skip
    assert "event stream" in answer.notes[0]
    assert pickle.loads(pickle.dumps(answer)).notes == answer.notes


def events(*chunks: object) -> bytes:
    return b"".join(b"data: %s\n\n" % json.dumps(chunk).encode() for chunk in chunks) + b"data: [DONE]\n\n"


def delta(finish: str | None = None, index: int = 0, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": fields, "finish_reason": finish}]}


def test_tool_calls_and_several_choices_are_assembled_by_their_index() -> None:
    call = {"index": 0, "id": "t1", "type": "function", "function": {"name": "pick", "arguments": ""}}
    answer = answered(
        events(
            delta(role="assistant", tool_calls=[call]),
            delta(tool_calls=[{"index": 0, "function": {"arguments": '{"team":'}}]),
            delta(tool_calls=[{"index": 1, "id": "t2", "function": {"name": "go", "arguments": "{}"}}]),
            delta(tool_calls=[{"index": 0, "function": {"arguments": '"b"}'}}]),
            delta("tool_calls"),
            delta("length", 1, content="second", reasoning_content="hm"),
        )
    )
    calls = answer.choices[0].message["tool_calls"]
    assert [(one["id"], one["function"]) for one in calls] == [
        ("t1", {"name": "pick", "arguments": '{"team":"b"}'}),
        ("t2", {"name": "go", "arguments": "{}"}),
    ]
    assert answer.choices[1].message.to_dict() == {"content": "second", "reasoning_content": "hm"}
    assert [choice.finish_reason for choice in answer.choices] == ["tool_calls", "length"]


def test_a_long_stream_is_assembled_in_linear_time() -> None:
    token = {"token": "a", "logprob": -0.5}
    chunk = {"choices": [{"index": 0, "delta": {"content": "a"}, "logprobs": {"content": [token]}}]}
    answer = answered(events(*[chunk] * 20_000, delta("stop")))
    assert text_of(answer) == "a" * 20_000
    assert answer.choices[0]["logprobs"]["content"] == [token] * 20_000


HOSTILE = [
    b"[" * 10**6,
    b'{"a":' * 10**6,
    b'"' * 10**6,
    b'"' + b"\\" * 10**6,
    b'["' + b"%" * 10**6 + b'"]',
    b" " * 10**6,
]


@pytest.mark.parametrize("body", HOSTILE, ids=lambda body: repr(body[:6]))
def test_a_large_broken_body_is_refused_like_a_small_one(body: bytes) -> None:
    assert isinstance(asked(body).error, MalformedReplyError)


@pytest.mark.parametrize(
    "body",
    [
        b"data: [DONE]\n\n",
        b": ping\n\n",
        SSE[0],
        SSE[0] + b'data: {"choices": [{"ind',
        events(delta(content="half"), {"error": {"message": "engine died"}}),
        events(delta(content="half"), delta("abort")),
        SSE[0] + b"error: out of memory\n\n",
        SSE[0] + b"event: error\ndata: died\n\n",
        SSE[0] + b"data: 7\n\ndata: [DONE]\n\n",
    ],
)
def test_an_event_stream_that_is_no_answer_is_a_malformed_reply(body: bytes) -> None:
    played = asked(body, x_pareta_billed="42")
    assert isinstance(played.error, MalformedReplyError)
    assert played.error.billed_micro_usd == 42


def test_receipts_of_failed_attempts_of_the_same_call_are_counted() -> None:
    half = Failed(APIConnectionError("dropped"), headers=[(b"x-pareta-billed", b"100"), (b"x-request-id", b"req_1")])
    coming: list[Reply | Failed | Received] = [
        half,
        reply(500, b"{}", x_pareta_billed="7"),
        reply(200, b"{}", x_pareta_billed="0"),
    ]
    played = play(complete(ASK, settings()), coming)
    assert isinstance(played.error, MalformedReplyError)
    assert (played.error.billed_micro_usd, played.error.attempts) == (107, 3)
    good = json.dumps(completion()).encode()
    played = play(complete(ASK, settings()), [half, reply(200, good, x_pareta_billed="0")])
    assert played.result is not None
    assert played.result.billed_micro_usd == 100
    broken = play(complete(ASK, settings(max_retries=0)), [half]).error
    assert isinstance(broken, APIConnectionError)
    assert (broken.billed_micro_usd, broken.request_id) == (100, "req_1")


scalars = (
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=12)
    | some.sampled_from([2**63, "10", 42.0, "abort", "stop", "error"])
)  # fmt: skip
NAMES = [
    "choices", "message", "delta", "content", "usage", "prompt_tokens", "finish_reason", "error", "object", "index",
    "type", "text", "tool_calls", "detail", "role",
]  # fmt: skip
jsons = some.recursive(
    scalars,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.sampled_from(NAMES), inner, max_size=5),
    max_leaves=20,
)
near_completions = some.builds(
    lambda content, finish, usage, more: {**completion(content, finish, usage=usage), **more},
    jsons, jsons, jsons, some.dictionaries(some.sampled_from(NAMES), jsons, max_size=2),
)  # fmt: skip


@given(
    value=jsons | near_completions,
    damage=some.sampled_from([b"", b"\xff", b"\x00", b"\\ud83d", b"data: "]),
    at=some.integers(0, 60),
    billed=some.binary(max_size=24) | some.sampled_from([b"42", b"42.0"]),
)
def test_any_success_is_a_completion_of_clean_values_or_an_error_of_ours(
    value: object, damage: bytes, at: int, billed: bytes
) -> None:
    body = json.dumps(value).encode()
    played = asked(body[:at] + damage + body[at:], x_pareta_billed=billed)
    if played.error is not None:
        assert isinstance(played.error, ParetaError)
        pickle.dumps(played.error)
        return
    answer = played.result
    assert answer is not None
    counts = [answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens]
    for count in (*counts, answer.billed_micro_usd):
        assert count is None or (type(count) is int and 0 <= count <= MAX_COUNT)
    for choice in answer.choices:
        assert isinstance(choice.message.content, str | None)
        assert isinstance(choice.finish_reason, str | None)
    assert finish_of(answer.choices[0].finish_reason) is not Finish.BROKEN
    json.dumps(answer.to_dict(), allow_nan=False).encode()
    again = pickle.loads(pickle.dumps(answer))
    assert (again.to_dict(), again.notes) == (answer.to_dict(), answer.notes)
