"""What each failure means, and how long to wait for it."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as some

from pareta_client.errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    EvalWaitTimeoutError,
    MalformedReplyError,
    ParetaError,
)
from pareta_client.retry import (
    Verdict,
    backoff,
    error_class,
    parse_retry_after,
    retried_by_client,
    verdict_of,
)

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def status_error(status: int) -> APIStatusError:
    return error_class(status)("refused", status_code=status)


@pytest.mark.parametrize(
    ("status", "name", "verdict", "retried"),
    [
        (400, "BadRequestError", Verdict.FATAL_TO_ITEM, False),
        (401, "AuthenticationError", Verdict.FATAL_TO_BATCH, False),
        (402, "InsufficientCreditsError", Verdict.OUT_OF_CREDIT, False),
        (403, "PermissionDeniedError", Verdict.FATAL_TO_BATCH, False),
        (404, "NotFoundError", Verdict.FATAL_TO_BATCH, False),
        (408, "APIStatusError", Verdict.TRANSIENT, True),
        (409, "ConflictError", Verdict.TRANSIENT, True),
        (101, "APIStatusError", Verdict.TRANSIENT, False),
        (405, "APIStatusError", Verdict.FATAL_TO_BATCH, False),
        (407, "APIStatusError", Verdict.FATAL_TO_BATCH, False),
        (410, "APIStatusError", Verdict.FATAL_TO_BATCH, False),
        (413, "APIStatusError", Verdict.FATAL_TO_ITEM, False),
        (418, "APIStatusError", Verdict.FATAL_TO_ITEM, False),
        (421, "APIStatusError", Verdict.TRANSIENT, False),
        (425, "APIStatusError", Verdict.TRANSIENT, False),
        (499, "APIStatusError", Verdict.TRANSIENT, False),
        (529, "APIStatusError", Verdict.TRANSIENT, False),
        (422, "BadRequestError", Verdict.FATAL_TO_ITEM, False),
        (429, "RateLimitError", Verdict.RATE_LIMIT, True),
        (500, "APIStatusError", Verdict.TRANSIENT, True),
        (502, "APIStatusError", Verdict.TRANSIENT, True),
        (503, "EndpointNotReadyError", Verdict.NOT_READY, True),
        (504, "APIStatusError", Verdict.TRANSIENT, True),
        (520, "APIStatusError", Verdict.TRANSIENT, False),
        (302, "APIStatusError", Verdict.FATAL_TO_BATCH, False),
    ],
)
def test_each_status_has_its_error_and_its_verdict(status: int, name: str, verdict: Verdict, retried: bool) -> None:
    error = status_error(status)
    assert (type(error).__name__, verdict_of(error), retried_by_client(error)) == (name, verdict, retried)


@pytest.mark.parametrize("error", [APIConnectionError(), APITimeoutError(), APIConnectionError(never_sent=True)])
def test_a_lost_connection_is_transient_and_tried_again(error: ParetaError) -> None:
    assert verdict_of(error) is Verdict.TRANSIENT
    assert retried_by_client(error)


def test_a_success_that_cannot_be_read_is_transient_but_the_client_leaves_the_choice_to_its_caller() -> None:
    error = MalformedReplyError("not JSON", status_code=200)
    assert verdict_of(error) is Verdict.TRANSIENT
    assert not retried_by_client(error)


def test_a_wait_that_ran_out_means_that_the_run_goes_on() -> None:
    assert verdict_of(EvalWaitTimeoutError("run_1", waited=900)) is Verdict.STILL_RUNNING


def test_an_unknown_error_of_ours_concerns_its_item_only() -> None:
    assert verdict_of(ParetaError("something new")) is Verdict.FATAL_TO_ITEM


def test_backoff_doubles_from_half_a_second_to_eight() -> None:
    assert [backoff(attempt, 0.0) for attempt in range(1, 8)] == [0.5, 1, 2, 4, 8, 8, 8]


def test_backoff_of_a_very_late_attempt_does_not_overflow() -> None:
    assert backoff(100_000, 0.0) == 8


@given(
    attempt=some.integers(1, 50),
    jitter=some.floats(0, 1),
    asked=some.none() | some.floats(0, 1e6, allow_subnormal=False),
)
def test_a_wait_is_never_shorter_than_asked_and_jitter_adds_at_most_a_quarter(
    attempt: int, jitter: float, asked: float | None
) -> None:
    least = backoff(attempt, 0.0, asked)
    wait = backoff(attempt, jitter, asked)
    assert least <= wait <= least + max(0.25, 0.25 * least) * 1.000001
    assert asked is None or wait >= asked


@given(attempt=some.integers(1, 50), asked=some.floats(0, 0.01))
def test_a_service_that_asks_for_no_wait_gets_the_usual_one(attempt: int, asked: float) -> None:
    assert backoff(attempt, 0.0, asked) == backoff(attempt, 0.0)


@pytest.mark.parametrize(("value", "seconds"), [("7", 7.0), ("0", 0.0), ("0.25", 0.25), (" 3 ", 3.0)])
def test_retry_after_is_read_as_seconds(value: str, seconds: float) -> None:
    assert parse_retry_after(value, NOW) == seconds


def test_retry_after_is_read_as_an_http_date() -> None:
    later = format_datetime(NOW + timedelta(seconds=90), usegmt=True)
    assert parse_retry_after(later, NOW) == 90


def test_a_retry_after_date_in_the_past_means_now() -> None:
    earlier = format_datetime(NOW - timedelta(days=1), usegmt=True)
    assert parse_retry_after(earlier, NOW) == 0


@pytest.mark.parametrize("value", [None, "", "soon", "-1", "nan", "inf", "1e999", "Sun, 99 Nov 2026 08:49:37 GMT"])
def test_a_retry_after_that_makes_no_sense_counts_as_none(value: str | None) -> None:
    assert parse_retry_after(value, NOW) is None


@given(some.text())
def test_any_retry_after_is_survived(value: str) -> None:
    seconds = parse_retry_after(value, NOW)
    assert seconds is None or seconds >= 0
