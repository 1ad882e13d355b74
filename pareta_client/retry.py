"""Verdict and retry policy of every failure: one table of status codes, and the backoff formula.

No other module compares a status code. The client's retries (seconds), the batch worker and the task retries of an
orchestrator (minutes) read the same verdicts.
"""

from collections.abc import Iterable, Mapping
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
"""Seconds after the first failed attempt; raising it slows down recovery from a short outage."""
LONGEST_BACKOFF = 8.0
"""Seconds; raising it lets later attempts wait longer."""
LONGEST_ASKED_WAIT = 30.0
"""Seconds of Retry-After that a call without a deadline accepts; for a longer wait it raises the error at once."""
LEAST_JITTER = 0.25
"""Seconds: lower bound of the jitter range; raising it spreads short waits more."""
JITTER_SHARE = 0.25
"""Jitter range as a fraction of the wait; raising it spreads long waits more."""


class Verdict(Enum):
    """Consequence of a failure for the item, the batch and the next attempt."""

    FATAL_TO_ITEM = "fatal to the item"
    FATAL_TO_BATCH = "fatal to the batch"
    OUT_OF_CREDIT = "out of credit"
    TRANSIENT = "transient"
    RATE_LIMIT = "rate limit"
    NOT_READY = "not ready"
    STILL_RUNNING = "still running"


_STATUSES: Mapping[int, tuple[type[APIStatusError], Verdict, bool]] = {
    # status: error, verdict, whether the client retries
    400: (BadRequestError, Verdict.FATAL_TO_ITEM, False),
    401: (AuthenticationError, Verdict.FATAL_TO_BATCH, False),
    402: (InsufficientCreditsError, Verdict.OUT_OF_CREDIT, False),
    403: (PermissionDeniedError, Verdict.FATAL_TO_BATCH, False),
    404: (NotFoundError, Verdict.FATAL_TO_BATCH, False),
    405: (APIStatusError, Verdict.FATAL_TO_BATCH, False),  # base_url is another service or a web page
    407: (APIStatusError, Verdict.FATAL_TO_BATCH, False),  # the proxy requires authentication
    408: (APIStatusError, Verdict.TRANSIENT, True),
    409: (ConflictError, Verdict.TRANSIENT, True),
    410: (APIStatusError, Verdict.FATAL_TO_BATCH, False),  # like 404, permanent
    422: (BadRequestError, Verdict.FATAL_TO_ITEM, False),
    421: (APIStatusError, Verdict.TRANSIENT, False),  # misdirected request
    425: (APIStatusError, Verdict.TRANSIENT, False),  # too early
    429: (RateLimitError, Verdict.RATE_LIMIT, True),
    499: (APIStatusError, Verdict.TRANSIENT, False),  # the gateway cancelled the request
    500: (APIStatusError, Verdict.TRANSIENT, True),
    502: (APIStatusError, Verdict.TRANSIENT, True),
    503: (EndpointNotReadyError, Verdict.NOT_READY, True),
    504: (APIStatusError, Verdict.TRANSIENT, True),
}

_OUT_OF_CREDIT_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
"""Error codes of OpenAI-compatible services for missing credit; they come with 400, 403 or 429, and mean 402."""


def succeeded(status: int) -> bool:
    """Check whether a status is a success."""
    return 200 <= status < 300


def redirected(status: int) -> bool:
    """Check whether a status is a redirect."""
    return 300 <= status < 400


def refused(status: int) -> bool:
    """Check whether a status is an error."""
    return 400 <= status < 600


def error_class(status: int) -> type[APIStatusError]:
    """Return the most specific error class of a status."""
    return _STATUSES[status][0] if status in _STATUSES else APIStatusError


def error_class_of(status: int, codes: Iterable[str]) -> type[APIStatusError]:
    """Return the error class of a reply with these error codes in its body."""
    if 400 <= status < 500 and not _OUT_OF_CREDIT_CODES.isdisjoint(codes):
        return InsufficientCreditsError
    return error_class(status)


def verdict_of(error: ParetaError) -> Verdict:
    """Return the verdict of an error."""
    match error:
        case APIStatusError():
            return _verdict_of_status(_effective_status(error))
        case OversizedReplyError():
            return Verdict.FATAL_TO_ITEM
        case APIConnectionError() | MalformedReplyError():
            return Verdict.TRANSIENT
        case WaitTimeoutError():
            return Verdict.STILL_RUNNING
        case _:
            return Verdict.FATAL_TO_ITEM


def _effective_status(error: APIStatusError) -> int:
    """Return the status in the table: 402 for an error code that means the same."""
    return 402 if isinstance(error, InsufficientCreditsError) else error.status_code


def _verdict_of_status(status: int) -> Verdict:
    if status in _STATUSES:
        return _STATUSES[status][1]
    if redirected(status):
        return Verdict.FATAL_TO_BATCH
    # Below 200: a switched protocol, or an invalid status.
    return Verdict.TRANSIENT if status >= 500 or status < 200 else Verdict.FATAL_TO_ITEM


def retried_by_client(error: ParetaError) -> bool:
    """Check whether the client retries after this error.

    A success status is never retried, even with an unusable body: it may have been billed.
    """
    match error:
        case APIStatusError():
            status = _effective_status(error)
            return status in _STATUSES and _STATUSES[status][2]
        case _:
            return isinstance(error, APIConnectionError)


def certainly_not_processed(error: ParetaError) -> bool:
    """Check whether the service certainly did no work for the request, so that a retry cannot repeat work."""
    if isinstance(error, APIConnectionError):
        return error.never_sent
    return verdict_of(error) in (Verdict.RATE_LIMIT, Verdict.NOT_READY)


def backoff(attempt: int, jitter: float, retry_after: float | None = None) -> float:
    """Return the seconds to wait after a failed attempt.

    Formula: `wait + jitter · max(0.25 s, wait / 4)`, where `wait` is the larger one of `retry_after` and
    `min(0.5 s · 2^(attempt - 1), 8 s)`. So a service that asks for no wait at all is not called in a loop.

    Args:
        attempt: number of the failed attempt, 1-based.
        jitter: random number from 0 to 1; it spreads the retries of callers that were refused together.
        retry_after: seconds that the service asked for.
    """
    # The exponent is capped: the power of two overflows after about 1,000 attempts.
    own = min(FIRST_BACKOFF * 2.0 ** min(attempt - 1, 16), LONGEST_BACKOFF)
    wait = max(own, retry_after or 0.0)
    return wait + jitter * max(LEAST_JITTER, JITTER_SHARE * wait)


def retry_after_of(error: ParetaError) -> float | None:
    """Return the wait that the service asked for in seconds, or None."""
    return error.retry_after if isinstance(error, APIStatusError) else None


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Parse a Retry-After header (RFC 9110, 10.2.3) and return the seconds from `now`, or None if it is invalid.

    The value is a number of seconds, fractions included, or an HTTP date.
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
    """Parse an HTTP date; return None if it is invalid."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
