"""One logical request with all its attempts: what is decided, without any I/O."""

import logging
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from pareta_client.core.call import get, post
from pareta_client.core.exchanges import exchange
from pareta_client.errors import APIConnectionError, APIStatusError, APITimeoutError, RateLimitError
from pareta_client.retry import Verdict
from tests.client.playing import KEY, failed, play, reply, settings

ASK = post("/v1/chat/completions", "key-1", {"model": "ep_1"})
REFUSED = [400, 401, 402, 403, 404, 422]
RETRIED = [408, 409, 429, 500, 502, 503, 504]


def test_a_success_takes_one_attempt() -> None:
    played = play(exchange(ASK, settings()), [reply(body=b'{"id": "c"}')])
    assert played.result is not None
    assert (played.result.attempts, played.result.reply.body, played.sleeps) == (1, b'{"id": "c"}', [])


@pytest.mark.parametrize("status", RETRIED)
def test_a_passing_refusal_is_tried_again(status: int) -> None:
    played = play(exchange(ASK, settings()), [reply(status), reply(status), reply()])
    assert played.result is not None
    assert played.result.attempts == 3


@pytest.mark.parametrize("status", REFUSED)
def test_a_final_refusal_is_not_tried_again(status: int) -> None:
    played = play(exchange(ASK, settings()), [reply(status)])
    assert isinstance(played.error, APIStatusError)
    assert (played.error.status_code, played.error.attempts, len(played.sends)) == (status, 1, 1)


def test_the_last_error_is_raised_with_the_number_of_attempts() -> None:
    played = play(
        exchange(ASK, settings(max_retries=2)), [reply(500), failed(), reply(429, b'{"detail": "slow down"}')]
    )
    assert isinstance(played.error, RateLimitError)
    assert (str(played.error), played.error.attempts) == ("slow down", 3)


def test_no_retries_means_one_attempt() -> None:
    assert len(play(exchange(ASK, settings(max_retries=0)), [reply(503)]).sends) == 1


def test_the_idempotency_key_is_the_same_on_each_attempt() -> None:
    played = play(exchange(ASK, settings()), [reply(500), failed(), reply()])
    assert [request.headers["idempotency-key"] for request in played.requests] == ["key-1"] * 3


def test_reading_carries_no_idempotency_key() -> None:
    played = play(exchange(get("/v1/models"), settings()), [reply()])
    assert "idempotency-key" not in played.requests[0].headers


def test_the_body_is_sent_again_whole() -> None:
    played = play(exchange(ASK, settings()), [failed(), reply()])
    assert [request.read() for request in played.requests] == [b'{"model":"ep_1"}'] * 2


def test_waits_grow_and_say_why() -> None:
    played = play(exchange(ASK, settings(max_retries=3)), [reply(503), reply(429), failed(), reply()])
    assert [(step.seconds, step.verdict) for step in played.sleeps] == [
        (0.5, Verdict.NOT_READY),
        (1.0, Verdict.RATE_LIMIT),
        (2.0, Verdict.TRANSIENT),
    ]


def test_a_rate_limited_call_waits_at_least_as_long_as_the_service_asked() -> None:
    played = play(exchange(ASK, settings(jitter=1.0)), [reply(429, retry_after="7"), reply()])
    assert 7 <= played.sleeps[0].seconds <= 8.75


def test_a_retry_after_date_is_counted_from_the_services_own_clock() -> None:
    theirs = datetime(2031, 1, 1, tzinfo=UTC)
    asked = format_datetime(theirs + timedelta(seconds=12), usegmt=True)
    refusal = reply(503, retry_after=asked, date=format_datetime(theirs, usegmt=True))
    assert play(exchange(ASK, settings()), [refusal, reply()]).sleeps[0].seconds == 12


def test_asked_to_wait_longer_than_is_bearable_the_error_comes_back_at_once_and_says_how_long() -> None:
    played = play(exchange(ASK, settings()), [reply(429, retry_after="600")])
    assert isinstance(played.error, RateLimitError)
    assert (played.error.retry_after, played.sleeps) == (600, [])


def test_with_a_deadline_a_long_wait_is_borne_if_it_ends_in_time() -> None:
    played = play(exchange(ASK, settings(deadline=1_000)), [reply(429, retry_after="600"), reply()])
    assert played.result is not None
    assert played.sleeps[0].seconds == 600


def test_no_wait_reaches_past_the_deadline() -> None:
    played = play(exchange(ASK, settings(deadline=5)), [reply(429, retry_after="6")])
    assert isinstance(played.error, RateLimitError)
    assert played.sleeps == []


def test_the_deadline_bounds_all_attempts_together() -> None:
    operation = exchange(ASK, settings(max_retries=50, deadline=60))
    played = play(operation, [reply(500)] * 51, seconds_each=5)
    assert isinstance(played.error, APIStatusError)
    assert played.now <= 60
    assert len(played.sends) > 3


def test_each_attempt_gets_no_more_than_what_is_left_until_the_deadline() -> None:
    played = play(exchange(ASK, settings(deadline=20)), [failed(), failed(), reply()], seconds_each=6)
    assert [step.seconds for step in played.sends] == [20, 13.5, 6.5]
    assert played.requests[2].extensions["timeout"]["read"] == 6.5


def test_a_timeout_bounds_one_attempt_and_connecting_gets_ten_seconds_of_it() -> None:
    played = play(exchange(ASK, settings()), [reply()])
    assert played.sends[0].seconds == 60
    assert played.requests[0].extensions["timeout"] == {"connect": 10, "read": 60, "write": 60, "pool": 60}


def test_an_httpx_timeout_bounds_the_phases_as_it_says() -> None:
    phases = httpx.Timeout(1, read=None, pool=7)
    played = play(exchange(ASK, settings(timeout=phases)), [reply()])
    assert played.sends[0].seconds is None
    assert played.requests[0].extensions["timeout"] == phases.as_dict()


def test_a_timeout_of_no_time_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(ValueError, match="timeout must be positive"):
        settings(timeout=0)


@pytest.mark.parametrize("error", [APIConnectionError("gone", never_sent=True), APITimeoutError("slow")])
def test_a_connection_error_is_raised_as_it_was_after_the_last_attempt(error: APIConnectionError) -> None:
    played = play(exchange(ASK, settings(max_retries=1)), [failed(error), failed(error)])
    assert played.error is error
    assert error.attempts == 2


def test_each_attempt_is_one_line_in_the_log_without_the_key(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="pareta_client"):
        play(exchange(ASK, settings()), [reply(503, x_request_id="req_1"), failed(), reply(x_request_id="req_3")])
    assert [record.getMessage() for record in caplog.records] == [
        "POST /v1/chat/completions -> 503 attempt=1 wait=0.50s request_id=req_1",
        "POST /v1/chat/completions -> APIConnectionError attempt=2 wait=1.00s request_id=None",
        "POST /v1/chat/completions -> 200 attempt=3 wait=none request_id=req_3",
    ]
    assert KEY not in caplog.text


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("asked", ["31", "3600", "Fri, 01 Jan 2100 00:00:00 GMT", "1e9", "99999999999999999999"])
def test_no_status_makes_a_call_stand_still_beyond_its_bound(status: int, asked: str) -> None:
    played = play(exchange(ASK, settings()), [reply(status, retry_after=asked)])
    assert (played.sleeps, len(played.sends)) == ([], 1)
    assert isinstance(played.error, APIStatusError)
    assert (played.error.retry_after or 0) > 30
    bounded = play(exchange(ASK, settings(deadline=60)), [reply(status, retry_after=asked), reply()])
    assert sum(sleep.seconds for sleep in bounded.sleeps) < 60
