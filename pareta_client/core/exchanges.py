"""The retry loop of one call, without I/O."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from pareta_client.core.call import Call, attempt_seconds, request_for
from pareta_client.core.rate_limits import rate_limits_from_headers
from pareta_client.core.receipt import added, receipt_from_headers
from pareta_client.core.redaction import redacted_failure, redacted_reply
from pareta_client.core.replies import clean_id, oversized, status_error
from pareta_client.core.request import Request
from pareta_client.core.steps import Failed, Operation, Reply, Send, own_headers, read_clock, sleep
from pareta_client.errors import APIConnectionError, ParetaError
from pareta_client.retry import (
    LONGEST_ASKED_WAIT,
    backoff,
    certainly_not_processed,
    retried_by_client,
    retry_after_of,
    succeeded,
    verdict_of,
)
from pareta_client.settings import Settings

log = logging.getLogger("pareta_client")


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful reply with the number of attempts.

    `billed_before` is the micro-USD billed for the failed attempts. `deadline` is a time on the driver's monotonic
    clock.
    """

    reply: Reply
    attempts: int
    billed_before: int | None = None
    deadline: float | None = None


def exchange(call: Call, settings: Settings) -> Operation[Answer]:
    """Send a call until it succeeds or no retry is allowed; raise the last ParetaError."""
    return attempts_of(
        call.method,
        call.path,
        settings,
        partial(request_for, call, settings),
        streamed=call.streamed,
        repeatable=call.repeatable,
    )


def attempts_of(
    method: str,
    path: str,
    settings: Settings,
    prepare: Callable[[float | None], Request],
    *,
    streamed: bool = False,
    repeatable: bool = True,
) -> Operation[Answer]:
    """Send prepared requests until one succeeds or no retry is allowed; `prepare` gets the seconds to the deadline."""
    traced, attempt = settings.tracing.start(method, path), 0
    happened: Reply | Failed | None = None
    error: ParetaError | None = None
    billed: int | None = None
    try:
        seconds, max_bytes = settings.options.deadline, settings.options.max_reply_bytes
        now = 0.0 if seconds is None else (yield from read_clock())
        deadline = None if seconds is None else now + seconds
        while True:
            attempt, error, left = attempt + 1, None, _left(deadline, now)
            request = prepare(left)
            # Yielded directly, without a nested generator: every call takes this step.
            result = yield Send(request, attempt_seconds(settings, left), left, streamed, max_bytes)
            assert isinstance(result, (Reply, Failed))  # a tuple: a union is built anew for every call
            happened, now = _redacted(result, settings), result.at
            if isinstance(happened, Reply) and succeeded(happened.status):
                _log(method, path, attempt, happened, None)
                if happened.is_oversized:
                    error = _oversized(happened, settings, attempt, billed)
                    raise error
                return Answer(happened, attempt, billed, deadline)
            error = _error_of(happened, request)
            error.billed_micro_usd = billed = added(billed, error.billed_micro_usd)
            wait = _wait(error, attempt, settings, _left(deadline, now), repeatable)
            _log(method, path, attempt, happened, wait)
            if wait is None:
                raise error.after(attempt)
            now = yield from sleep(wait, verdict_of(error))
    finally:
        traced.end(attempt, happened, error)


def _oversized(reply: Reply, settings: Settings, attempt: int, billed: int | None) -> ParetaError:
    error = oversized(reply, settings.options.max_reply_bytes).after(attempt)
    error.billed_micro_usd = added(billed, error.billed_micro_usd)
    return error


def _redacted(result: Reply | Failed, settings: Settings) -> Reply | Failed:
    """Return the result without the API key; every reply and failure passes through here."""
    if isinstance(result, Reply):
        return redacted_reply(result, settings.secret)
    return redacted_failure(result, settings.secret)


def _error_of(happened: Reply | Failed, request: Request) -> ParetaError:
    """Return the error of a failed attempt, with the receipt and request id of its headers."""
    error = happened.error if isinstance(happened, Failed) else status_error(happened, request)
    own = own_headers(happened.headers)
    error.billed_micro_usd = receipt_from_headers(own).billed_micro_usd
    error.rate_limits = rate_limits_from_headers(own)
    if isinstance(error, APIConnectionError) and error.request_id is None:
        error.request_id = clean_id(own.get("x-request-id"))
    return error


def _left(deadline: float | None, now: float) -> float | None:
    # Never zero: some transports read a timeout of zero as "no timeout".
    return None if deadline is None else max(deadline - now, 0.001)


def _wait(error: ParetaError, attempt: int, settings: Settings, left: float | None, repeatable: bool) -> float | None:
    """Return the seconds to wait before the next attempt, or None if no retry is allowed."""
    if not retried_by_client(error) or not (repeatable or certainly_not_processed(error)):
        return None
    if attempt > settings.options.max_retries:
        return None
    retry_after = retry_after_of(error)
    wait = backoff(attempt, settings.jitter(), retry_after)
    if left is not None:
        return wait if wait < left else None
    return wait if retry_after is None or retry_after <= LONGEST_ASKED_WAIT else None


def _log(method: str, path: str, attempt: int, happened: Reply | Failed, wait: float | None) -> None:
    if not log.isEnabledFor(logging.DEBUG):
        return
    outcome, request_id = (
        (str(happened.status), happened.header(b"x-request-id"))
        if isinstance(happened, Reply)
        else (type(happened.error).__name__, happened.error.request_id)
    )
    log.debug(
        "%s %s -> %s attempt=%d wait=%s request_id=%s",
        method,
        path,
        outcome,
        attempt,
        "none" if wait is None else f"{wait:.2f}s",
        request_id,
    )
