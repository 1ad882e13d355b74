"""Longer operations, decided without I/O: deploying, waiting, comparing, uploading."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest

from pareta_client import AsyncPareta, Pareta
from pareta_client.core.document import CHUNK_BYTES, DocumentStream, document_of
from pareta_client.core.steps import Failed, Received, Reply
from pareta_client.errors import (
    APIConnectionError,
    DeployError,
    EndpointWaitTimeoutError,
    EvalWaitTimeoutError,
    MalformedReplyError,
    NotFoundError,
    ScoringUndecidedError,
    UploadError,
)
from pareta_client.operations.documents import INLINE_LIMIT_BYTES, upload
from pareta_client.operations.endpoints import deploy_and_wait, deploy_call, wait_until_live
from pareta_client.operations.eval_runs import RunOn, create_run, wait_for_run, wait_timing
from pareta_client.operations.eval_sets import create_set
from tests.client.playing import KEY, Played, failed, play, reply, settings

STORED = RunOn("es_1", None, None, None, None)
ROWS = [{"input": "a", "expected": "b"}]


def answer(content: object) -> Reply:
    return reply(200, json.dumps(content).encode())


def run(status: str) -> Reply:
    return answer({"run": {"id": "run_1", "status": status}, "results": []})


def paths(played: Played[Any]) -> list[str]:
    return [f"{request.method} {request.url.path}" for request in played.requests]


def body(played: Played[Any], number: int) -> Any:
    return json.loads(played.requests[number].read())


def deployed(*happenings: Reply | Failed | Received) -> Any:
    call = deploy_call("invoice-extraction", "recommended", None, {}, "key-1")
    return play(deploy_and_wait(call, settings()), happenings)


def test_a_deployment_gives_the_endpoint_of_its_last_event() -> None:
    progress = b'event: progress\ndata: {"stage": "pulling", "pct": 5}\n\n'
    complete = b'event: complete\ndata: {"endpoint": {"id": "ep_1", "status": "live"}}\n\n'
    played = deployed(reply(), Received(progress), Received(complete), Received(b""))
    assert played.result.id == "ep_1"
    assert body(played, 0) == {"task": "invoice-extraction", "model": "recommended"}


def test_an_endpoint_that_is_not_live_yet_is_waited_for() -> None:
    complete = b'event: complete\ndata: {"endpoint": {"id": "ep_1", "status": "starting"}}\n\n'
    live = answer({"id": "ep_1", "status": "live"})
    played = deployed(reply(), Received(complete), Received(b""), answer({"status": "starting"}), live)
    assert played.result.is_live
    assert paths(played) == ["POST /v1/endpoints", "GET /v1/endpoints/ep_1", "GET /v1/endpoints/ep_1"]


def test_a_deployment_that_failed_says_why() -> None:
    played = deployed(reply(), Received(b'event: error\ndata: {"message": "no capacity"}\n\n'), Received(b""))
    assert isinstance(played.error, DeployError)
    assert "no capacity" in str(played.error)


def test_a_deployment_whose_stream_was_cut_is_not_deployed_again() -> None:
    played = deployed(reply(), Received(b'event: progress\ndata: {"pct": 5}\n\n'), Received(b""))
    assert isinstance(played.error, APIConnectionError)
    assert (played.error.chunks_received, len(played.sends)) == (1, 1)


@pytest.mark.parametrize("trouble", [failed(), reply(500), reply(502), reply(504)])
def test_a_deployment_that_may_have_begun_is_not_begun_again(trouble: Reply | Failed) -> None:
    played = deployed(trouble)
    assert played.error is not None
    assert len(played.sends) == 1


@pytest.mark.parametrize("trouble", [failed(APIConnectionError("refused", never_sent=True)), reply(429), reply(503)])
def test_a_deployment_that_certainly_did_not_begin_is_tried_again(trouble: Reply | Failed) -> None:
    complete = b'event: complete\ndata: {"endpoint": {"id": "ep_1", "status": "live"}}\n\n'
    played = deployed(trouble, reply(), Received(complete), Received(b""))
    assert played.result.is_live


def test_waiting_for_an_endpoint_polls_quickly_first_and_then_at_the_interval() -> None:
    starting = [answer({"status": "starting"})] * 5
    played = play(wait_until_live("ep_1", 2.0, 900, settings()), [*starting, answer({"status": "live"})])
    assert played.result is not None
    assert [step.seconds for step in played.sleeps] == [0.25, 0.5, 1.0, 2.0, 2.0]


def test_an_endpoint_that_failed_is_not_waited_for() -> None:
    played = play(wait_until_live("ep_1", 2.0, 900, settings()), [answer({"status": "failed"})])
    assert isinstance(played.error, DeployError)


def test_a_wait_for_an_endpoint_that_runs_out_carries_its_id() -> None:
    played = play(wait_until_live("ep_1", 2.0, 10, settings()), [answer({"status": "starting"})] * 50)
    assert isinstance(played.error, EndpointWaitTimeoutError)
    assert (played.error.endpoint_id, played.error.status) == ("ep_1", "starting")
    assert played.now <= 12


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_a_run_is_waited_for_until_it_has_ended(status: str) -> None:
    played = play(
        wait_for_run("run_1", wait_timing(3.0, 900), settings()), [run("queued"), run("running"), run(status)]
    )
    assert played.result is not None
    assert (played.result.status, [step.seconds for step in played.sleeps]) == (status, [0.5, 0.75])


def test_a_wait_that_runs_out_carries_the_run_to_wait_for_again() -> None:
    played = play(wait_for_run("run_1", wait_timing(3.0, 9.0), settings()), [run("running")] * 50)
    assert isinstance(played.error, EvalWaitTimeoutError)
    assert (played.error.run_id, played.error.waited, played.error.status) == ("run_1", 9.0, "running")


def test_trouble_that_passes_does_not_end_a_wait() -> None:
    coming: list[Reply | Failed | Received] = [failed(), reply(503), reply(500), run("completed")]
    played = play(wait_for_run("run_1", wait_timing(), settings(max_retries=0)), coming)
    assert played.result is not None


def test_trouble_that_does_not_pass_ends_a_wait_at_once() -> None:
    played = play(wait_for_run("run_1", wait_timing(), settings()), [reply(404)])
    assert isinstance(played.error, NotFoundError)


STARTED = answer({"run_id": "run_1", "status": "queued"})


def created(frontier: Any, happenings: Iterable[Reply], on: RunOn = STORED, models: Any = ("heron-1",)) -> Any:
    return play(create_run(on, models, frontier, None, "key-1", settings()), list(happenings))


@pytest.mark.parametrize(
    ("frontier", "expected"), [(None, []), ("none", []), (["summit-pro"], ["summit-pro"]), (("a", "b"), ["a", "b"])]
)
def test_frontier_models_that_need_no_roster_are_taken_as_they_are(frontier: Any, expected: list[str]) -> None:
    played = created(frontier, [STARTED])
    assert body(played, 0) == {"eval_set_id": "es_1", "candidate_model_ids": ["heron-1", *expected]}
    assert (played.result.id, played.result.status) == ("run_1", "queued")


ROSTER = answer({"frontier_models": [{"id": "a", "benchmarked": True}, {"id": "b"}, {"vendor": "nameless"}]})


@pytest.mark.parametrize(("keyword", "expected"), [("all", ["a", "b"]), ("benchmarked", ["a"])])
def test_a_keyword_stands_for_the_roster_of_the_sets_task(keyword: str, expected: list[str]) -> None:
    played = created(keyword, [answer({"eval_set": {"task_id": "t"}}), ROSTER, STARTED])
    assert body(played, 2)["candidate_model_ids"] == ["heron-1", *expected]
    assert played.requests[1].url.query == b"task=t"


def test_a_given_task_saves_looking_it_up() -> None:
    played = created("all", [ROSTER, STARTED], RunOn("es_1", "t", None, None, None))
    assert paths(played) == ["GET /v1/eval/frontier-models", "POST /v1/eval-runs"]


def test_rows_are_stored_first_and_each_request_has_a_key_of_its_own() -> None:
    on = RunOn(None, "t", ROWS, "mine", None)
    played = created(None, [answer({"eval_set": {"id": "es_9"}}), STARTED], on)
    assert paths(played) == ["POST /v1/eval-sets", "POST /v1/eval-runs"]
    assert body(played, 1)["eval_set_id"] == "es_9"
    assert [request.headers["idempotency-key"] for request in played.requests] == ["key-1-set", "key-1"]


@pytest.mark.parametrize(
    ("on", "models", "frontier", "error"),
    [
        (STORED, [], None, ValueError),
        (STORED, None, None, ValueError),
        (STORED, "heron-1", None, TypeError),
        (STORED, ["heron-1"], "everything", ValueError),
        (STORED, ["heron-1"], 7, TypeError),
        (RunOn(None, "t", None, None, None), ["heron-1"], None, ValueError),
        (RunOn(None, None, ROWS, None, None), ["heron-1"], None, ValueError),
    ],
)
def test_what_cannot_become_a_run_is_refused_before_anything_is_sent(
    on: RunOn, models: Any, frontier: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        next(create_run(on, models, frontier, None, "key-1", settings()))


def test_a_run_without_an_id_is_a_malformed_reply() -> None:
    assert isinstance(created(None, [answer({"status": "queued"})]).error, MalformedReplyError)


def test_an_eval_set_is_sent_as_a_form_with_a_row_a_line() -> None:
    played = play(create_set("t", [{"input": "é\n"}, {"input": 2}], None, "do it", "key-1", settings()), [answer({})])
    request = played.requests[0]
    sent = request.read()
    assert request.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert '{"input":"é\\n"}\n{"input":2}\r\n'.encode() in sent
    for name, value in {"task_id": "t", "name": "eval set of 2 rows", "prompt": "do it"}.items():
        assert f'name="{name}"\r\n\r\n{value}\r\n'.encode() in sent


@pytest.mark.parametrize(("items", "task"), [([], "t"), (ROWS, None), (ROWS, "")])
def test_an_eval_set_needs_rows_and_a_task_or_a_prompt(items: Any, task: str | None) -> None:
    with pytest.raises(ValueError, match="is required"):
        next(create_set(task, items, None, None, "key-1", settings()))


PROPOSAL = {"task_id": "t", "confidence": "high"}


def test_without_a_task_the_one_that_fits_cleanly_is_used() -> None:
    clean = answer({"homogeneous": True, "proposals": [PROPOSAL]})
    played = play(create_set(None, ROWS, None, "p", "k", settings()), [clean, answer({"eval_set": {"id": "es_1"}})])
    assert paths(played) == ["POST /v1/eval-sets/propose-contract", "POST /v1/eval-sets"]
    assert b'name="task_id"\r\n\r\nt\r\n' in played.requests[1].read()


@pytest.mark.parametrize(
    ("proposal", "said"),
    [
        ({"homogeneous": True, "proposals": [PROPOSAL, {"task_id": "u", "confidence": "high"}]}, "t, u"),
        ({"homogeneous": True, "proposals": [{"task_id": "t", "confidence": "low"}]}, "t"),
        ({"homogeneous": True, "proposals": [{"task_id": "custom-eval", "confidence": "high"}]}, "judges"),
        ({"homogeneous": False, "proposals": [PROPOSAL], "split": {"total_n": 3}}, "several kinds"),
        ({"homogeneous": True, "proposals": [PROPOSAL], "conflict": {"reasoning": "is a letter"}}, "is a letter"),
        ({}, "no task fits"),
    ],
)
def test_without_a_clean_fit_the_caller_is_asked_to_choose(proposal: object, said: str) -> None:
    played = play(create_set(None, ROWS, None, "p", "k", settings()), [answer(proposal)])
    assert isinstance(played.error, ScoringUndecidedError)
    assert said in str(played.error)
    assert len(played.sends) == 1


def test_a_small_document_goes_inline() -> None:
    played = play(upload("es_1", document_of(b"%PDF", None), 3, "scan", "k", settings()), [answer({"ok": True})])
    assert paths(played) == ["POST /v1/eval-sets/es_1/attach-blob"]
    sent = played.requests[0].read()
    assert b"%PDF" in sent
    assert b'name="idx"\r\n\r\n3\r\n' in sent
    assert b'name="field_name"\r\n\r\nscan\r\n' in sent
    assert played.result == {"ok": True}


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "scan.pdf"
    path.write_bytes(b"x" * INLINE_LIMIT_BYTES)
    return path


MINTED = answer({"upload_url": "https://storage.example/b?signature=s3cret", "storage_uri": "gs://b/1"})


def test_a_large_document_is_streamed_to_where_the_service_points(large: Path) -> None:
    operation = upload("es_1", document_of(large, None), 0, "scan", "k", settings())
    played = play(operation, [MINTED, reply(200, b""), answer({"ok": True})])
    assert paths(played) == [
        "POST /v1/eval-sets/es_1/blob-upload-url",
        "PUT /b",
        "POST /v1/eval-sets/es_1/blob-upload-complete",
    ]
    place = {"idx": 0, "field_name": "scan", "mime": "application/pdf"}
    assert body(played, 0) == {**place, "file_size": INLINE_LIMIT_BYTES}
    assert body(played, 2) == {**place, "storage_uri": "gs://b/1"}
    put = played.requests[1]
    assert isinstance(put.stream, DocumentStream)
    assert "authorization" not in put.headers
    assert put.headers["content-length"] == str(INLINE_LIMIT_BYTES)


def test_a_streamed_document_is_read_in_pieces_and_anew_for_each_attempt(large: Path) -> None:
    stream = DocumentStream(document_of(large, None))
    for _ in range(2):
        pieces = list(stream)
        assert max(map(len, pieces)) == CHUNK_BYTES
        assert sum(map(len, pieces)) == INLINE_LIMIT_BYTES


def test_an_upload_that_fails_in_passing_is_tried_again_and_one_that_is_refused_is_an_upload_error(large: Path) -> None:
    again = upload("es_1", document_of(large, None), 0, "f", "k", settings())
    assert len(play(again, [MINTED, failed(), reply(503), reply(201), answer({})]).sends) == 5
    refused = play(upload("es_1", document_of(large, None), 0, "f", "k", settings()), [MINTED, reply(403, b"<Error/>")])
    assert isinstance(refused.error, UploadError)
    assert "s3cret" not in str(refused.error)


def test_an_open_file_is_uploaded_from_where_it_stands_and_left_open(large: Path) -> None:
    with large.open("rb") as file:
        file.seek(INLINE_LIMIT_BYTES - 10)
        document = document_of(file, "image/png")
        assert (document.name, document.mime, document.size) == ("scan.pdf", "image/png", 10)
        assert [document.read(), document.read()] == [b"x" * 10] * 2
        assert not file.closed


@pytest.mark.parametrize("thing", [7, None, ["a"]])
def test_what_is_no_document_is_a_type_error(thing: Any) -> None:
    with pytest.raises(TypeError, match="path, bytes or a file"):
        document_of(thing, None)


async def test_an_upload_goes_through_the_callers_client_on_both_faces_without_the_key(large: Path) -> None:
    seen: list[tuple[str, str | None, int]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append((request.method, request.headers.get("authorization"), len(request.content)))
        if request.url.path.endswith("upload-url"):
            return httpx.Response(200, json={"upload_url": "https://storage.example/b", "storage_uri": "gs://b"})
        return httpx.Response(200, json={"ok": True})

    transport = httpx.MockTransport(handle)
    async with httpx.AsyncClient(transport=transport) as http_client:
        client = AsyncPareta(api_key=KEY, http_client=http_client)
        assert await client.evals.sets.upload_document("es_1", large, idx=0, field_name="f") == {"ok": True}
    with httpx.Client(transport=transport) as blocking:
        Pareta(api_key=KEY, http_client=blocking).evals.sets.upload_document("es_1", str(large), idx=0, field_name="f")
    bearer = f"Bearer {KEY}"
    assert [(method, key) for method, key, _ in seen] == [("POST", bearer), ("PUT", None), ("POST", bearer)] * 2
    assert seen[1][2] == seen[4][2] == INLINE_LIMIT_BYTES
