"""Every error of the client, named for what its catcher can do.

ParetaError                        anything below; also a missing key
├── APIConnectionError             no complete answer came; `never_sent` says whether a re-send can be billed twice
│   └── APITimeoutError            ... because a timeout or the deadline ran out
├── APIStatusError                 the service answered with an error status
│   ├── BadRequestError            400, 422: this request is wrong; the next one may be fine
│   ├── AuthenticationError        401: wrong or revoked key
│   ├── InsufficientCreditsError   402: the organisation is out of credit; every metered call fails alike
│   ├── PermissionDeniedError      403
│   ├── NotFoundError              404: unknown endpoint, task, eval set or run
│   ├── ConflictError              409: contention, or a seed endpoint that cannot be changed
│   ├── RateLimitError             429: slow down; `retry_after` says for how long
│   └── EndpointNotReadyError      503: stopped, cold-starting, or its provider is down
├── MalformedReplyError            a success status with a body that is not what was asked for
│   └── OversizedReplyError        ... because it is larger than `max_reply_bytes`
├── DeployError                    the service reported that a deployment failed
├── UploadError                    storage refused a document
├── ScoringUndecidedError          rows and prompt fit no single task: choose one with `task=`
└── WaitTimeoutError               what was waited for goes on at the service: wait again, never create again
    ├── EvalWaitTimeoutError       `run_id`
    └── EndpointWaitTimeoutError   `endpoint_id`

All of them pickle with all their fields (they cross processes) and none holds the API key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import httpx  # only named here: whoever catches an error need not load it


class ParetaError(Exception):
    """Base of every error of this client.

    `attempts` is the number of requests sent for the failed call. `billed_micro_usd` is the sum of the receipts that
    came with them, None if none came. `chunks_received` is the number of chunks of a stream before it failed.
    """

    attempts: int = 0
    billed_micro_usd: int | None = None
    chunks_received: int = 0

    # Exception's own way calls the class with `args` alone, which loses (or rejects) keyword-only fields.
    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args, self.__dict__.copy())

    def after(self, attempts: int) -> Self:
        """Note how many attempts were made, and give the error back."""
        self.attempts = attempts
        return self


def _restored(kind: type[ParetaError], args: tuple[Any, ...], fields: dict[str, Any]) -> ParetaError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(fields)
    return error


class APIConnectionError(ParetaError):
    """No complete answer came.

    `never_sent` is True only if the service certainly never saw the request. `unreachable` is True if no connection to
    the base URL could be opened: refused, unknown host, failed TLS handshake, no route. `chunks_received` counts what a
    stream had delivered before it broke; `request_id` and `billed_micro_usd` are known if the answer had begun.
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
    """A timeout or the deadline ran out before the answer was complete."""

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
    """The service answered with an error status.

    `detail` is the service's own (a message, or a list for 422), or the text of a body that is not JSON;
    `retry_after` is in seconds; `response` is a copy without the key, its body cut at 64 KiB.
    """

    def __init__(
        self,
        message: str,
        *,
        status_code: int,
        detail: Any = None,  # whatever JSON the service sent
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
    """This request is malformed or refused (400, 422)."""


class AuthenticationError(APIStatusError):
    """The key is wrong or revoked (401)."""


class InsufficientCreditsError(APIStatusError):
    """The organisation is out of credit (402); top up in the dashboard."""


class PermissionDeniedError(APIStatusError):
    """The key may not do this (403)."""


class NotFoundError(APIStatusError):
    """There is no such endpoint, task, eval set or run (404)."""


class ConflictError(APIStatusError):
    """Contention, or a seed endpoint that cannot be changed (409)."""


class RateLimitError(APIStatusError):
    """Too many requests, and the client's own retries are spent (429)."""


class EndpointNotReadyError(APIStatusError):
    """The endpoint is stopped, cold-starting, or its provider is down (503)."""


class MalformedReplyError(ParetaError):
    """The service, or something before it, answered success with a body that is not what was asked for.

    `excerpt` is the beginning of the body; `billed_micro_usd` is known if the headers held a receipt.
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
    """A success whose body, decompressed, is larger than the client's `max_reply_bytes`.

    Another attempt would be answered alike and may be billed again: fatal to the item.
    """


class DeployError(ParetaError):
    """The service reported that a deployment failed."""


class UploadError(ParetaError):
    """Storage, to which the service pointed, refused a document."""


class ScoringUndecidedError(ParetaError):
    """Rows and prompt fit no single task; `proposals` names the tasks to choose from with `task=`."""

    def __init__(self, message: str, *, proposals: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.proposals = proposals


class WaitTimeoutError(ParetaError):
    """The wait is over and what was waited for goes on at the service; `waited` is in seconds."""

    def __init__(self, message: str, *, waited: float, status: str | None = None) -> None:
        super().__init__(message)
        self.waited = waited
        self.status = status


class EvalWaitTimeoutError(WaitTimeoutError):
    """An eval run has not ended yet; wait for `run_id` again, a new run would be billed again."""

    def __init__(self, run_id: str, *, waited: float, status: str | None = None) -> None:
        super().__init__(
            f"eval run {run_id} did not finish within {waited:.0f}s (status: {status or 'unknown'}); "
            f"it goes on at the service: wait for it again by its id",
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
