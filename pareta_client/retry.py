"""What each failure means and what to do about it: the one table, and the one way to compute a wait.

No other module compares a status code. The client's own retries (seconds), the fan-out over a batch and the task
retries of an orchestrator (minutes) all read the same verdicts.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum

from pareta_client.errors import (
    APIConnectionError,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    EndpointNotReadyError,
    InsufficientCreditsError,
    MalformedReplyError,
    NotFoundError,
    OversizedReplyError,
    ParetaError,
    PermissionDeniedError,
    RateLimitError,
    WaitTimeoutError,
)

FIRST_BACKOFF = 0.5
LONGEST_BACKOFF = 8.0
LONGEST_ASKED_WAIT = 30.0
"""Seconds of Retry-After that a call without a deadline waits out; asked for more, it gives the error back at once."""
LEAST_JITTER = 0.25
JITTER_SHARE = 0.25


class Verdict(Enum):
    """What a failure means for the item, the batch and the next attempt."""

    FATAL_TO_ITEM = "fatal to the item"
    FATAL_TO_BATCH = "fatal to the batch"
    OUT_OF_CREDIT = "out of credit"
    TRANSIENT = "transient"
    RATE_LIMIT = "rate limit"
    NOT_READY = "not ready"
    STILL_RUNNING = "still running"


_STATUSES: Mapping[int, tuple[type[APIStatusError], Verdict, bool]] = {
    # status: error, verdict, does the client itself try again
    400: (BadRequestError, Verdict.FATAL_TO_ITEM, False),
    401: (AuthenticationError, Verdict.FATAL_TO_BATCH, False),
    402: (InsufficientCreditsError, Verdict.OUT_OF_CREDIT, False),
    403: (PermissionDeniedError, Verdict.FATAL_TO_BATCH, False),
    404: (NotFoundError, Verdict.FATAL_TO_BATCH, False),
    408: (APIStatusError, Verdict.TRANSIENT, True),
    409: (ConflictError, Verdict.TRANSIENT, True),
    422: (BadRequestError, Verdict.FATAL_TO_ITEM, False),
    429: (RateLimitError, Verdict.RATE_LIMIT, True),
    500: (APIStatusError, Verdict.TRANSIENT, True),
    502: (APIStatusError, Verdict.TRANSIENT, True),
    503: (EndpointNotReadyError, Verdict.NOT_READY, True),
    504: (APIStatusError, Verdict.TRANSIENT, True),
}


def succeeded(status: int) -> bool:
    """Say whether a status means success."""
    return 200 <= status < 300


def redirected(status: int) -> bool:
    """Say whether a status sends the caller elsewhere."""
    return 300 <= status < 400


def refused(status: int) -> bool:
    """Say whether a status is an error."""
    return 400 <= status < 600


def error_class(status: int) -> type[APIStatusError]:
    """Give the most specific error of a status."""
    return _STATUSES[status][0] if status in _STATUSES else APIStatusError


def verdict_of(error: ParetaError) -> Verdict:
    """Say what an error means: for its item, for its batch, for another attempt."""
    match error:
        case APIStatusError(status_code=status):
            return _verdict_of_status(status)
        case OversizedReplyError():
            return Verdict.FATAL_TO_ITEM
        case APIConnectionError() | MalformedReplyError():
            return Verdict.TRANSIENT
        case WaitTimeoutError():
            return Verdict.STILL_RUNNING
        case _:
            return Verdict.FATAL_TO_ITEM


def _verdict_of_status(status: int) -> Verdict:
    if status in _STATUSES:
        return _STATUSES[status][1]
    if redirected(status):
        return Verdict.FATAL_TO_BATCH
    return Verdict.TRANSIENT if status >= 500 else Verdict.FATAL_TO_ITEM


def retried_by_client(error: ParetaError) -> bool:
    """Say whether the client itself sends again after this error.

    A success status is never followed by another attempt, even if its body is unusable: it may have been paid.
    """
    match error:
        case APIStatusError(status_code=status):
            return status in _STATUSES and _STATUSES[status][2]
        case _:
            return isinstance(error, APIConnectionError)


def certainly_not_processed(error: ParetaError) -> bool:
    """Say whether the service certainly did no work for this request, so that repeating it cannot do the work twice."""
    if isinstance(error, APIConnectionError):
        return error.never_sent
    return verdict_of(error) in (Verdict.RATE_LIMIT, Verdict.NOT_READY)


def backoff(attempt: int, jitter: float, retry_after: float | None = None) -> float:
    """Give the seconds to wait after the failed `attempt` (1-based).

    At least `retry_after` if the service asked for it, else 0.5 · 2^(attempt - 1) up to 8 s. `jitter`, from 0 to 1,
    adds up to a quarter (at least up to 0.25 s) on top, so that callers refused together don't return together.
    """
    # Beyond some attempts the power of two would only overflow.
    own = min(FIRST_BACKOFF * 2.0 ** min(attempt - 1, 16), LONGEST_BACKOFF)
    wait = own if retry_after is None else retry_after
    return wait + jitter * max(LEAST_JITTER, JITTER_SHARE * wait)


def retry_after_of(error: ParetaError) -> float | None:
    """Give the seconds that the service asked to wait, if it did."""
    return error.retry_after if isinstance(error, APIStatusError) else None


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Read a Retry-After header (RFC 9110, 10.2.3), seconds or an HTTP date, as seconds from `now`; None if unusable.

    Fractional seconds are accepted too: services send them.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        moment = parse_http_date(value)
        return None if moment is None else max(0.0, (moment - now).total_seconds())
    return seconds if 0 <= seconds < float("inf") else None


def parse_http_date(text: str) -> datetime | None:
    """Read an HTTP date; None if it is none."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
