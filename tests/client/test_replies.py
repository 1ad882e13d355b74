"""Whatever comes back, it becomes a record or a ParetaError."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from pareta_client.core.call import post
from pareta_client.core.replies import record_of, records_of, request_id_of
from pareta_client.core.steps import Failed, Received, Reply
from pareta_client.core.streams import Progress, chat_chunks, deploy_events
from pareta_client.errors import APIConnectionError, MalformedReplyError, ParetaError
from pareta_client.models.chat import ChatCompletion
from pareta_client.models.evals import EvalResult, EvalRun, EvalSet
from pareta_client.models.tasks import Leaderboard, TaskMatch
from pareta_client.operations.chat import complete, list_models
from pareta_client.operations.endpoints import list_endpoints, retrieve
from pareta_client.operations.eval_runs import retrieve_run
from pareta_client.operations.eval_sets import create_set, list_sets
from pareta_client.operations.tasks import leaderboard
from tests.client.playing import play, reply, settings
from tests.client.servers import COMPLETION

ASK = post("/v1/chat/completions", "key-1", {})
CHUNK = b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n'
STREAMED = post("/v1/chat/completions", "key-1", {}, streamed=True)

json_values = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text(max_size=10),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = ["id", "choices", "message", "delta", "content", "usage", "run", "results", "status", "per_item", "index"]
known = some.dictionaries(some.sampled_from(NAMES), json_values, max_size=6)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<html>Welcome to the hotel network</html>", "text/html"),
        (b'{"choices": [{"message": {"content": "hal', "application/json"),
        (b"[]", "application/json"),
        (b'"ok"', "application/json"),
        (b'{"detail": "model is overloaded"}', "application/json"),
        (b'{"error": {"message": "model is overloaded"}}', "application/json"),
        (b"\xff\xfd\x00", "application/octet-stream"),
    ],
)
def test_a_success_that_is_no_completion_is_a_malformed_reply(body: bytes, content_type: str) -> None:
    came = reply(200, body, content_type=content_type, x_request_id="req_1")
    played = play(complete(ASK, settings()), [came])
    assert isinstance(played.error, MalformedReplyError)
    assert (played.error.status_code, played.error.request_id) == (200, "req_1")
    assert played.error.excerpt == body.decode("utf-8", "replace")
    assert content_type in str(played.error)


@pytest.mark.parametrize(
    "body",
    [
        b'{"detail": "overloaded"}',
        b'{"error": {"message": "no"}, "request_id": "r"}',
        b'{"object": "error", "message": "engine died", "type": "InternalServerError", "param": null, "code": 500}',
    ],
)
@pytest.mark.parametrize(
    "operation",
    [
        lambda: retrieve_run("run_1", settings()),
        lambda: retrieve("ep_1", settings()),
        lambda: list_sets(settings()),
        lambda: list_models(settings()),
        lambda: leaderboard("t", settings()),
        lambda: create_set("t", [{"input": "a"}], None, None, "k", settings()),
    ],
)
def test_an_error_that_came_with_a_success_is_not_an_empty_answer(operation: Any, body: bytes) -> None:
    played: Any = play(operation(), [reply(200, body, x_request_id="req_1")])
    assert isinstance(played.error, MalformedReplyError)
    assert (played.error.request_id, played.error.excerpt) == ("req_1", body.decode())


def test_a_record_may_have_a_detail_beside_what_it_is() -> None:
    assert record_of(EvalSet, reply(200, b'{"id": "es_1", "detail": "archived"}')).id == "es_1"


def test_the_excerpt_of_a_gigantic_body_is_short() -> None:
    played = play(complete(ASK, settings()), [reply(200, b"<p>" + b"x" * 5_000_000)])
    assert isinstance(played.error, MalformedReplyError)
    assert len(played.error.excerpt) == 500
    assert len(str(played.error)) < 1_000


def test_json_is_read_whatever_the_content_type_says() -> None:
    played = play(complete(ASK, settings()), [reply(200, COMPLETION, content_type="text/plain")])
    assert played.result is not None
    assert played.result.choices[0].message.content == "hello"


def test_no_body_is_an_empty_record() -> None:
    assert record_of(EvalSet, reply(200, b""), "eval_set").to_dict() == {}


@pytest.mark.parametrize("body", [b"{}", b'{"eval_set": {}}', b'{"eval_set": null}', b"null"])
def test_a_sparse_record_is_a_record(body: bytes) -> None:
    eval_set = record_of(EvalSet, reply(200, body), "eval_set")
    assert (eval_set.id, eval_set.item_count, eval_set.to_dict()) == (None, None, {})


def test_a_sparse_completion_answers_every_attribute() -> None:
    completion = ChatCompletion.model_validate({})
    assert completion.choices == []
    assert completion.usage.total_tokens is None
    assert (completion.billed_micro_usd, completion.savings_factor, completion.attempts) == (None, None, 1)


def test_a_richer_record_keeps_everything() -> None:
    raw = {
        "id": "c",
        "choices": [{"index": 0, "logprobs": {"x": [1]}, "message": {"content": "a", "tool": 1}}],
        "z": {},
    }
    completion = ChatCompletion.model_validate(raw)
    assert completion.to_dict() == raw
    assert completion["z"] == {}
    assert completion.get("missing", 7) == 7
    assert completion.choices[0]["logprobs"] == {"x": [1]}
    assert completion.choices[0].message.to_dict() == {"content": "a", "tool": 1}


def test_a_value_of_another_type_is_unknown_and_kept_in_the_raw_record() -> None:
    eval_set = EvalSet.model_validate({"id": 7, "name": ["a"], "item_count": "many"})
    assert (eval_set.id, eval_set.name, eval_set.item_count) == ("7", None, None)
    assert eval_set.to_dict() == {"id": 7, "name": ["a"], "item_count": "many"}
    assert eval_set.get("item_count") == "many"


@pytest.mark.parametrize(
    ("told", "number"),
    [(120, 120), (120.5, 120.5), ("120", 120), (-0.5, -0.5), (True, None), ("much", None), (2**70, None), ("nan", None),
     ([1], None), (None, None)],
)  # fmt: skip
def test_a_number_of_an_evaluation_is_a_number_or_unknown(told: object, number: float | None) -> None:
    result = EvalResult.model_validate({"mean_cost_micro_usd": told, "quality_mean": told, "model_id": told})
    assert (result.mean_cost_micro_usd, result.quality_mean) == (number, number)
    assert type(result.quality_mean) in (float, type(None))
    assert type(result.model_id) in (str, type(None))


@pytest.mark.parametrize("kind", [ChatCompletion, EvalRun, Leaderboard, TaskMatch, EvalSet])
@given(raw=known)
def test_no_json_object_is_refused_and_none_is_changed(kind: Any, raw: dict[str, Any]) -> None:
    assert kind.model_validate(raw).to_dict() == raw


@given(body=some.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_body_of_a_success_gives_a_record_or_one_of_our_errors(body: bytes) -> None:
    for operation in (complete(ASK, settings()), list_endpoints(settings()), retrieve_run("run_1", settings())):
        played: Any = play(operation, [reply(200, body)])
        assert (played.result is None) == isinstance(played.error, ParetaError)


@given(status=some.integers(300, 599), body=some.binary(max_size=200), header=some.binary(max_size=20))
def test_any_refusal_gives_one_of_our_errors(status: int, body: bytes, header: bytes) -> None:
    came = reply(status, body, retry_after=header, date=header, x_request_id=header)
    played = play(complete(ASK, settings(max_retries=0)), [came])
    assert isinstance(played.error, ParetaError)
    assert str(played.error)


PIECES = [
    b"data: ",
    b"\n\n",
    b"{",
    b'{"choices":[{"delta":{"content":"a"}}]}',
    b"[DONE]",
    b"event: complete\n",
    b": c\n",
]


@given(pieces=some.lists(some.binary(min_size=1, max_size=20) | some.sampled_from(PIECES), max_size=20))
def test_any_stream_gives_chunks_or_one_of_our_errors(pieces: list[bytes]) -> None:
    coming: list[Reply | Failed | Received] = [reply(), *map(Received, pieces), *[Received(b"")] * 3]
    for operation in (chat_chunks, deploy_events):
        played = play(operation(STREAMED, settings(), Progress()), coming)
        assert played.error is None or isinstance(played.error, ParetaError)


def test_a_list_may_be_missing_but_not_something_else() -> None:
    assert records_of(EvalSet, reply(200, b"{}"), "eval_sets") == []
    with pytest.raises(MalformedReplyError, match="eval_sets"):
        records_of(EvalSet, reply(200, b'{"eval_sets": "none"}'), "eval_sets")


def test_the_request_id_is_the_services() -> None:
    assert request_id_of(reply(x_request_id="req_1")) == "req_1"


@pytest.mark.parametrize("told", [b"req_1" + b"x" * 50_000, b"req_1\x01\x7f\x85" + b"x" * 300])
def test_a_request_id_is_printable_and_of_a_bounded_length(told: bytes) -> None:
    for body in (COMPLETION, b"null"):
        played = play(complete(ASK, settings()), [reply(200, body, x_request_id=told)])
        request_id = getattr(played.result or played.error, "request_id", None)
        assert request_id == "req_1" + "x" * 195


def test_a_stream_that_ends_without_done_was_dropped() -> None:
    coming: list[Reply | Failed | Received] = [
        reply(x_request_id="req_1"),
        Received(PIECES[0] + PIECES[3] + b"\n\n"),
        Received(b""),
    ]
    played = play(chat_chunks(STREAMED, settings(), Progress()), coming)
    assert isinstance(played.error, APIConnectionError)
    assert (played.error.chunks_received, played.error.request_id, len(played.emitted)) == (1, "req_1", 1)


def test_a_stream_that_breaks_is_never_sent_again() -> None:
    broken = Failed(APIConnectionError("reset"))
    played = play(chat_chunks(STREAMED, settings(), Progress()), [reply(), Received(CHUNK), broken])
    assert isinstance(played.error, APIConnectionError)
    assert len(played.sends) == 1
    assert played.error.never_sent is False


def test_only_the_handshake_of_a_stream_is_tried_again() -> None:
    progress = Progress()
    coming: list[Reply | Failed | Received] = [
        reply(503),
        reply(),
        Received(CHUNK + b"data: [DONE]\n\n"),
        Received(b""),
    ]
    played = play(chat_chunks(STREAMED, settings(), progress), coming)
    assert (len(played.emitted), progress.attempts, progress.received, played.error) == (1, 2, 1, None)


def test_what_breaks_after_done_is_no_failure() -> None:
    coming: list[Reply | Failed | Received] = [
        reply(),
        Received(CHUNK + b"data: [DONE]\n\n"),
        Failed(APIConnectionError("reset")),
    ]
    assert play(chat_chunks(STREAMED, settings(), Progress()), coming).error is None


def test_receipts_in_a_stream_come_from_its_comments() -> None:
    progress = Progress()
    tail = b": pareta-billed-micro-usd 40\n\n: pareta-frontier-would-have-cost-micro-usd 1000\n\ndata: [DONE]\n\n"
    play(chat_chunks(STREAMED, settings(), progress), [reply(), Received(CHUNK + tail), Received(b"")])
    assert progress.receipt.billed_micro_usd == 40
    assert progress.receipt.frontier_would_have_cost_micro_usd == 1000
    assert progress.receipt.savings_factor == 25.0


def test_an_error_inside_a_stream_is_the_error_it_names() -> None:
    coming: list[Reply | Failed | Received] = [
        reply(),
        Received(b'data: {"error": {"message": "out of credit", "code": 402}}\n\n'),
    ]
    played = play(chat_chunks(STREAMED, settings(), Progress()), coming)
    assert type(played.error).__name__ == "InsufficientCreditsError"


def test_events_without_blank_lines_between_them_are_told_apart() -> None:
    coming: list[Reply | Failed | Received] = [
        reply(),
        Received(b'data: {"id": "a"}\ndata: {"id": "b"}\n\ndata: [DONE]\n\n'),
        Received(b""),
    ]
    played = play(chat_chunks(STREAMED, settings(), Progress()), coming)
    assert [chunk.id for chunk in played.emitted] == ["a", "b"]


def test_a_page_instead_of_a_stream_is_a_malformed_reply() -> None:
    coming: list[Reply | Failed | Received] = [reply(content_type="text/html; charset=utf-8"), Received(b"<html>")]
    played = play(chat_chunks(STREAMED, settings(), Progress()), coming)
    assert isinstance(played.error, MalformedReplyError)
    assert played.error.excerpt == "<html>"
