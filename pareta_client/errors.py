"""Errors of the client, named after the reaction that they call for.

ParetaError                        base class; raised itself for a missing key
├── APIConnectionError             no complete reply; `never_sent`: a retry cannot be billed twice
│   └── APITimeoutError            ... because a timeout or the deadline expired
├── APIStatusError                 the service replied with an error status
│   ├── BadRequestError            400, 422: this request is invalid; other requests may succeed
│   ├── AuthenticationError        401: wrong or revoked key
│   ├── InsufficientCreditsError   402: the organisation is out of credit; every metered call fails
│   ├── PermissionDeniedError      403
│   ├── NotFoundError              404: unknown endpoint, task, eval set or run
│   ├── ConflictError              409: concurrent change, or a seed endpoint that cannot be changed
│   ├── RateLimitError             429: too many requests; wait `retry_after` seconds
│   └── EndpointNotReadyError      503: stopped, cold-starting, or its provider is down
├── MalformedReplyError            a success status with an invalid body
│   └── OversizedReplyError        ... because the body is larger than `max_reply_bytes`
├── DeployError                    the service reported that a deployment failed
├── UploadError                    storage refused a document
├── ScoringUndecidedError          rows and prompt fit no single task: choose one with `task=`
└── WaitTimeoutError               the run or endpoint continues at the service: wait again, do not create again
    ├── EvalWaitTimeoutError       `run_id`
    └── EndpointWaitTimeoutError   `endpoint_id`

Every error can be pickled with all its fields, and no error contains the API key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import httpx  # for annotations only: catching an error does not import httpx

    from pareta_client.core import RateLimits


class ParetaError(Exception):
    """Base of every error of this client.

    `attempts` is the number of requests sent for the failed call. `billed_micro_usd` is the sum of their receipts, or
    None without a receipt. `chunks_received` is the number of stream chunks received before the failure.
    `rate_limits` are those in the `x-ratelimit-*` headers of the last reply.
    """

    attempts: int = 0
    billed_micro_usd: int | None = None
    chunks_received: int = 0
    rate_limits: RateLimits | None = None

    # Exception.__reduce__ passes only `args`, which loses (or rejects) keyword-only fields.
    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args, self.__dict__.copy())

    def after(self, attempts: int) -> Self:
        """Set the number of attempts and return the error."""
        self.attempts = attempts
        return self


def _restored(kind: type[ParetaError], args: tuple[Any, ...], fields: dict[str, Any]) -> ParetaError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(fields)
    return error


class APIConnectionError(ParetaError):
    """No complete reply was received.

    `never_sent` is True only if the service certainly never received the request. `unreachable` is True if no
    connection to the base URL could be opened: refused, unknown host, failed TLS handshake, no route.
    `chunks_received` is the number of stream chunks before the failure. `request_id` and `billed_micro_usd` are set if
    the reply had started.
    """

    def __init__(
        self,
        message: str = "connection error",
        *,
        cause: BaseException | None = None,
        never_sent: bool = False,
        unreachable: bool = False,
        chunks_received: int = 0,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.__cause__ = cause
        self.never_sent = never_sent
        self.unreachable = unreachable
        self.chunks_received = chunks_received
        self.request_id = request_id


class APITimeoutError(APIConnectionError):
    """A timeout or the deadline expired before the reply was complete."""

    def __init__(
        self,
        message: str = "request timed out",
        *,
        cause: BaseException | None = None,
        never_sent: bool = False,
        unreachable: bool = False,
        chunks_received: int = 0,
        request_id: str | None = None,
    ) -> None:
        super().__init__(
            message,
            cause=cause,
            never_sent=never_sent,
            unreachable=unreachable,
            chunks_received=chunks_received,
            request_id=request_id,
        )


class APIStatusError(ParetaError):
    """The service replied with an error status.

    `detail` is the `detail` field of the body (a message, or a list for 422), or the text of a body that is not JSON.
    `retry_after` is in seconds. `response` is a copy without the API key; its body is cut at 64 KiB.
    """

    def __init__(
        self,
        message: str,
        *,
        status_code: int,
        detail: Any = None,  # any JSON value
        request_id: str | None = None,
        response: httpx.Response | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.detail = detail
        self.request_id = request_id
        self.response = response
        self.retry_after = retry_after


class BadRequestError(APIStatusError):
    """The request is malformed or invalid (400, 422)."""


class AuthenticationError(APIStatusError):
    """The key is wrong or revoked (401)."""


class InsufficientCreditsError(APIStatusError):
    """The organisation is out of credit (402); top up in the dashboard."""


class PermissionDeniedError(APIStatusError):
    """The key lacks the permission (403)."""


class NotFoundError(APIStatusError):
    """Unknown endpoint, task, eval set or run (404)."""


class ConflictError(APIStatusError):
    """Concurrent change, or a seed endpoint that cannot be changed (409)."""


class RateLimitError(APIStatusError):
    """Too many requests, and no retry is left (429)."""


class EndpointNotReadyError(APIStatusError):
    """The endpoint is stopped, cold-starting, or its provider is down (503)."""


class MalformedReplyError(ParetaError):
    """The service, or a proxy, replied with a success status and an invalid body.

    `excerpt` is the beginning of the body. `billed_micro_usd` is set if the headers contained a receipt.
    """

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        request_id: str | None = None,
        excerpt: str = "",
        billed_micro_usd: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.request_id = request_id
        self.excerpt = excerpt
        self.billed_micro_usd = billed_micro_usd


class OversizedReplyError(MalformedReplyError):
    """The decompressed body of a successful reply is larger than `max_reply_bytes`.

    Fatal to the item: another attempt would get the same reply and may be billed again.
    """


class DeployError(ParetaError):
    """The service reported that a deployment failed."""


class UploadError(ParetaError):
    """The document storage refused an upload."""


class ScoringUndecidedError(ParetaError):
    """Rows and prompt fit no single task; `proposals` names the tasks to choose from with `task=`."""

    def __init__(self, message: str, *, proposals: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.proposals = proposals


class WaitTimeoutError(ParetaError):
    """The wait timed out; the run or endpoint continues at the service. `waited` is in seconds."""

    def __init__(self, message: str, *, waited: float, status: str | None = None) -> None:
        super().__init__(message)
        self.waited = waited
        self.status = status


class EvalWaitTimeoutError(WaitTimeoutError):
    """An eval run has not ended yet; wait for `run_id` again: a new run would be billed again."""

    def __init__(self, run_id: str, *, waited: float, status: str | None = None) -> None:
        super().__init__(
            f"eval run {run_id} did not finish within {waited:.0f}s (status: {status or 'unknown'}); "
            f"it continues at the service; wait for it again by its id",
            waited=waited,
            status=status,
        )
        self.run_id = run_id


class EndpointWaitTimeoutError(WaitTimeoutError):
    """An endpoint is not live yet; wait for `endpoint_id` again."""

    def __init__(self, endpoint_id: str, *, waited: float, status: str | None = None) -> None:
        super().__init__(
            f"endpoint {endpoint_id} was not live within {waited:.0f}s (status: {status or 'unknown'}); "
            f"start it if it is stopped, then wait for it again",
            waited=waited,
            status=status,
        )
        self.endpoint_id = endpoint_id
