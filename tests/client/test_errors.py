"""Errors: complete, picklable, and without the key."""

import json
import pickle
from collections.abc import Callable

import httpx
import pytest

import pareta_client.errors as errors
from pareta_client.core.call import post, request_for
from pareta_client.core.replies import MAX_ERROR_BODY_BYTES, status_error
from pareta_client.errors import (
    APIConnectionError,
    APIStatusError,
    EndpointWaitTimeoutError,
    EvalWaitTimeoutError,
    InsufficientCreditsError,
    MalformedReplyError,
    ParetaError,
    ScoringUndecidedError,
    WaitTimeoutError,
)
from pareta_client.retry import Verdict, error_class, retried_by_client, verdict_of
from tests.client.playing import KEY, reply, settings

REQUEST = request_for(post("/v1/x", "key-1", {"a": 1}), settings(), None)


def every_error() -> list[type[ParetaError]]:
    return [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ParetaError)]


def example_of(kind: type[ParetaError]) -> ParetaError:
    if kind is EvalWaitTimeoutError:
        return EvalWaitTimeoutError("run_1", waited=3.0, status="running").after(4)
    if kind is EndpointWaitTimeoutError:
        return EndpointWaitTimeoutError("ep_1", waited=3.0, status="starting").after(4)
    if kind is WaitTimeoutError:
        return WaitTimeoutError("still", waited=3.0).after(4)
    if issubclass(kind, APIConnectionError):
        gone = kind("gone", cause=OSError("reset"), never_sent=True, chunks_received=3, request_id="req_1")
        gone.unreachable = True
        return gone.after(4)
    if issubclass(kind, APIStatusError):
        return status_error(reply(429, b'{"detail": ["a"]}', retry_after="3", x_request_id="r"), REQUEST).after(4)
    if issubclass(kind, MalformedReplyError):
        return kind("bad", status_code=200, request_id="req_1", excerpt="<html>", billed_micro_usd=7).after(4)
    if kind is ScoringUndecidedError:
        return ScoringUndecidedError("which?", proposals=("a", "b")).after(4)
    return kind("went wrong").after(4)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error": {"message": "filtered", "code": "content_filter"}}', "HTTP 400: filtered"),
        (b'{"error": "filtered"}', "HTTP 400: filtered"),
        (b'{"object": "error", "message": "too long", "code": 400}', "HTTP 400: too long"),
        (b'{"msg": "token expired"}', "HTTP 400: token expired"),
        (b'{"error": {"code": 7}}', "HTTP 400"),
        (b'{"error": {"error": {"message": "deep"}}}', "HTTP 400: deep"),
        (b'{"error": [1]}', "HTTP 400"),
        (b'{"detail": "ours", "error": "other"}', "ours"),
        (b"{}", "HTTP 400"),
    ],
)
def test_a_gateways_reason_stands_in_the_message(body: bytes, message: str) -> None:
    error = status_error(reply(400, body), REQUEST)
    assert str(error) == message


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_every_error_survives_pickling_with_all_its_fields(kind: type[ParetaError]) -> None:
    error = example_of(kind)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert (str(copy), copy.args, copy.attempts) == (str(error), error.args, 4)
    told, kept = dict(vars(error)), dict(vars(copy))
    if isinstance(error, APIStatusError):
        assert kept.pop("response").json() == told.pop("response").json()
    assert kept == told


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_every_error_stands_in_the_tree_of_the_docstring(kind: type[ParetaError]) -> None:
    assert f" {kind.__name__} " in f" {errors.__doc__}".replace("\n", " ")


def test_a_status_error_tells_what_the_service_told() -> None:
    error = status_error(reply(404, b'{"detail": "no endpoint ep_9"}', x_request_id="req_7"), REQUEST)
    assert isinstance(error, errors.NotFoundError)
    assert (str(error), error.status_code, error.detail, error.request_id) == (
        "no endpoint ep_9",
        404,
        "no endpoint ep_9",
        "req_7",
    )


def test_a_detail_that_is_a_list_is_kept_and_the_message_names_the_status() -> None:
    error = status_error(reply(422, b'{"detail": [{"loc": ["body", "model"], "msg": "missing"}]}'), REQUEST)
    assert str(error) == "HTTP 422"
    assert error.detail == [{"loc": ["body", "model"], "msg": "missing"}]


def test_a_proxys_page_becomes_the_detail() -> None:
    error = status_error(reply(502, b"<html>Bad Gateway</html>"), REQUEST)
    assert (error.detail, str(error)) == ("<html>Bad Gateway</html>",) * 2


def test_a_gigantic_message_is_cut() -> None:
    error = status_error(reply(500, b"x" * MAX_ERROR_BODY_BYTES), REQUEST)
    assert len(str(error)) == 2_000


def test_a_redirect_is_an_error_that_says_where_to() -> None:
    error = status_error(reply(308, b"", location="https://elsewhere.example/v1"), REQUEST)
    assert "https://elsewhere.example/v1" in str(error)
    assert "base_url" in str(error)


def test_an_error_carries_request_and_response_but_never_the_key() -> None:
    error = status_error(reply(400, b'{"detail": "no"}', content_encoding="gzip"), REQUEST)
    assert isinstance(error.response, httpx.Response)
    assert error.response.request.url == REQUEST.url
    assert error.response.json() == {"detail": "no"}
    assert "authorization" not in error.response.request.headers
    assert KEY.encode() not in pickle.dumps(error)
    assert KEY not in repr(vars(error))


def coded(status: int, body: object) -> APIStatusError:
    return status_error(reply(status, json.dumps(body).encode(), retry_after="1"), REQUEST)


@pytest.mark.parametrize("status", [400, 402, 403, 429])
@pytest.mark.parametrize("code", ["insufficient_quota", "billing_hard_limit_reached", "billing_not_active"])
@pytest.mark.parametrize(
    "shape",
    [
        lambda code: {"error": {"message": "You exceeded your current quota", "type": code, "code": code}},
        lambda code: {"error": {"message": "quota", "type": code, "code": None}},
        lambda code: {"error": {"message": "quota", "type": None, "code": code}},
        lambda code: {"error": code},
        lambda code: {"detail": code},
        lambda code: {"detail": {"code": code, "message": "quota"}},
        lambda code: {"code": code, "message": "quota"},
    ],
)
def test_an_error_code_for_missing_credit_means_402(
    status: int, code: str, shape: Callable[[str], dict[str, object]]
) -> None:
    error = coded(status, shape(code))
    assert isinstance(error, InsufficientCreditsError)
    assert error.status_code == status
    assert verdict_of(error) is Verdict.OUT_OF_CREDIT
    assert not retried_by_client(error)
    assert verdict_of(pickle.loads(pickle.dumps(error))) is Verdict.OUT_OF_CREDIT


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (429, {"error": {"type": "requests", "code": "rate_limit_exceeded"}}),
        (429, {"error": {"message": "insufficient_quota is not the problem"}}),
        (429, {"error": {"code": ["insufficient_quota"], "type": 7}}),
        (429, ["insufficient_quota"]),
        (429, None),
        (500, {"error": {"code": "insufficient_quota"}}),
        (503, {"detail": "insufficient_quota"}),
    ],
)
def test_any_other_body_leaves_the_class_to_the_status(status: int, body: object) -> None:
    assert type(coded(status, body)) is error_class(status)
