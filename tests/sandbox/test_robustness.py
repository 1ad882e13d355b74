"""Robustness: the service answers any input with a defined refusal, never with an accidental 500."""

import hashlib
import json
import socket
import string
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pareta_sandbox.state.books import MAX_ROUTES
from pareta_sandbox.testing import Sandbox, running
from tests.examples import share_of
from tests.sandbox.talk import MIT, asked, client, complete, content

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
CHAT_FIELDS = st.sampled_from(
    ["model", "messages", "stream", "n", "max_tokens", "temperature", "top_p", "stop", "stream_options"]
)
POSTS = [
    "/v1/chat/completions",
    "/v1/endpoints",
    "/v1/tasks/match",
    "/v1/eval-runs",
    "/v1/eval-sets",
    "/v1/eval-sets/propose-contract",
    "/v1/eval-sets/es_1/blob-upload-url",
    "/v1/eval-sets/es_1/blob-upload-complete",
    "/v1/eval-sets/es_1/attach-blob",
    "/_sandbox/faults",
    "/_sandbox/top-up",
    "/_sandbox/scenarios",
]
FAST = settings(max_examples=share_of(80), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def shared() -> Iterator[httpx.Client]:
    """Start one service for all examples: it must survive every one of them."""
    with running() as started, client(started) as http:
        yield http


@FAST
@given(path=st.sampled_from(POSTS), body=JSON_VALUES)
def test_any_json_is_answered_without_an_accident(shared: httpx.Client, path: str, body: object) -> None:
    assert shared.post(path, content=json.dumps(body)).status_code < 500


@FAST
@given(changes=st.dictionaries(CHAT_FIELDS, JSON_VALUES, min_size=1, max_size=3))
def test_a_completion_with_spoilt_fields_is_answered_or_refused(
    shared: httpx.Client, changes: dict[str, object]
) -> None:
    body = json.dumps({**asked(), **changes})
    reply = shared.post(
        "/v1/chat/completions", content=body, headers={"idempotency-key": hashlib.sha256(body.encode()).hexdigest()}
    )
    assert reply.status_code in (200, 404, 422)


@FAST
@given(path=st.sampled_from(POSTS), body=st.binary(max_size=200))
def test_any_bytes_are_answered_without_an_accident(shared: httpx.Client, path: str, body: bytes) -> None:
    kinds = ("application/json", "multipart/form-data; boundary=x", "text/plain")
    for kind in kinds:
        assert shared.post(path, content=body, headers={"content-type": kind}).status_code < 500


@FAST
@given(text=st.text(max_size=300), model=st.sampled_from(["ep_seed_licenses", "ep_seed_contracts", "auto"]))
def test_any_text_gets_an_answer(shared: httpx.Client, text: str, model: str) -> None:
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    assert shared.post("/v1/chat/completions", json=body).status_code == 200


@FAST
@given(path=st.text(alphabet=string.printable.replace("\\", ""), max_size=40))
def test_any_path_is_answered_without_an_accident(shared: httpx.Client, path: str) -> None:
    for method in ("GET", "POST", "DELETE", "PUT", "OPTIONS"):
        try:
            reply = shared.request(method, httpx.URL(shared.base_url).copy_with(path=f"/v1/{path}"))
        except httpx.InvalidURL:
            continue
        assert reply.status_code < 500


@FAST
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {"input": st.text(max_size=30) | st.dictionaries(st.text(max_size=5), JSON_VALUES, max_size=3)},
            optional={"expected": JSON_VALUES, "expected_output": JSON_VALUES},
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_rows_make_a_set_that_runs_or_a_refusal(shared: httpx.Client, rows: list[dict[str, object]]) -> None:
    items = "\n".join(map(json.dumps, rows)).encode()
    made = shared.post("/v1/eval-sets", files={"items": ("i", items)}, data={"prompt": "Which licence? {a}"})
    assert made.status_code in (201, 422)
    if made.status_code == 201:
        body = {"eval_set_id": made.json()["eval_set"]["id"], "candidate_model_ids": ["wren-1", "heron-2"]}
        started = shared.post("/v1/eval-runs", json=body)
        assert started.status_code == 202
        run = shared.get(f"/v1/eval-runs/{started.json()['run_id']}").json()["run"]
        assert run["status"] != "failed"


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"hello\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_garbage_instead_of_http_is_survived(sandbox: Sandbox, http: httpx.Client, garbage: bytes) -> None:
    url = httpx.URL(sandbox.base_url)
    with socket.create_connection((url.host, url.port or 0), timeout=30) as connection:
        connection.sendall(garbage)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(65536)
    assert answer == b"" or not answer.startswith(b"HTTP/1.1 5")
    assert content(complete(http)) == "MIT"


def test_an_oversized_body_is_refused(http: httpx.Client) -> None:
    huge = b'{"model": "' + b"x" * (65 * 1024 * 1024) + b'"}'
    try:
        reply = http.post("/v1/chat/completions", content=huge)
    except httpx.WriteError:
        return  # the service hung up while it was still being written to
    assert reply.status_code == 413


def test_a_deeply_nested_body_is_refused(http: httpx.Client) -> None:
    nested = b'{"model": "ep_seed_licenses", "messages": ' + b"[" * 5_000 + b"]" * 5_000 + b"}"
    assert http.post("/v1/chat/completions", content=nested, headers={"idempotency-key": "k"}).status_code == 422


def test_a_number_that_is_too_long_for_python_is_no_accident(http: httpx.Client) -> None:
    body = (
        b'{"model": "ep_seed_licenses", "messages": [{"role": "user", "content": "MIT"}], "x": ' + b"9" * 5_000 + b"}"
    )
    for _ in range(2):
        reply = http.post("/v1/chat/completions", content=body, headers={"idempotency-key": "k"})
        assert reply.status_code in (200, 422)


def test_extra_fields_may_be_nested_deeply(http: httpx.Client) -> None:
    start = b'{"model": "ep_seed_licenses", "messages": [{"role": "user", "content": "MIT"}], "x": '
    nested = start + b"[" * 150 + b"]" * 150 + b"}"
    assert http.post("/v1/chat/completions", content=nested, headers={"idempotency-key": "k"}).status_code == 200


def test_a_caller_who_sends_half_a_request_and_leaves_does_no_harm(sandbox: Sandbox, http: httpx.Client) -> None:
    url = httpx.URL(sandbox.base_url)
    for _ in range(5):
        with socket.create_connection((url.host, url.port or 0), timeout=30) as connection:
            connection.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer pareta_sk_x\r\n"
                b"Content-Length: 1000\r\n\r\n{"
            )
    assert content(complete(http)) == "MIT"
    assert sandbox.books().debits[0].amount_micro_usd > 0


def test_lone_surrogates_come_back_as_they_can(http: httpx.Client) -> None:
    body = b'{"model": "ep_seed_contracts", "messages": [{"role": "user", "content": "Copyright (c) 2020 \\ud800"}]}'
    assert http.post("/v1/chat/completions", content=body, headers={"idempotency-key": "k"}).status_code in (200, 422)


def test_the_answer_keeps_every_language(http: httpx.Client) -> None:
    text = "Copyright (c) 2020 Søren Ægir 株式会社 🌊"
    assert "Søren Ægir 株式会社 🌊" in content(complete(http, text, model="ep_seed_contracts"))
    assert content(complete(http, MIT)) == "MIT"


def test_a_caller_who_sends_a_byte_at_a_time_is_answered_and_holds_up_nobody(
    sandbox: Sandbox, http: httpx.Client
) -> None:
    body = json.dumps(asked()).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {sandbox.api_key}\r\n"
    sent = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    address = httpx.URL(sandbox.base_url)
    with socket.create_connection((address.host, address.port or 0), timeout=30) as slow:
        slow.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number, byte in enumerate(sent):
            slow.sendall(bytes([byte]))
            if number % 50 == 0:
                assert complete(http).status_code == 200
        assert slow.recv(1000).startswith(b"HTTP/1.1 200 OK")


def test_paths_that_are_made_up_do_not_make_the_books_grow(sandbox: Sandbox, http: httpx.Client) -> None:
    for number in range(MAX_ROUTES + 20):
        http.get(f"/v1/made-up-{number}")
    requests = sandbox.books().requests
    assert len(requests) == MAX_ROUTES + 1
    assert requests["others"] == 20
