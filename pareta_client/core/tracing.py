"""Spans for OpenTelemetry, one for each logical request; nothing at all where a program does not use it."""

import sys
from typing import TYPE_CHECKING, Protocol

from pareta_client.core.steps import Failed, Reply
from pareta_client.errors import ParetaError

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer


class Traced(Protocol):
    """A logical request that is being watched."""

    def ended(self, attempts: int, last: Reply | Failed | None, error: ParetaError | None) -> None:
        """Note how it ended; without a last happening it was given up from outside."""
        ...


class Tracing(Protocol):
    """Watches logical requests."""

    def started(self, method: str, path: str) -> Traced:
        """Begin to watch one."""
        ...


class NoTracing:
    """Watches nothing."""

    def started(self, method: str, path: str) -> "NoTracing":
        """Begin nothing."""
        return self

    def ended(self, attempts: int, last: Reply | Failed | None, error: ParetaError | None) -> None:
        """Note nothing."""


class OpenTelemetry:
    """Makes a client span of each logical request, with all its attempts inside."""

    def __init__(self, tracer: "Tracer") -> None:
        self._tracer = tracer

    def started(self, method: str, path: str) -> "TracedSpan":
        """Start a span; ids stay out of its name, which is meant to be grouped by."""
        from opentelemetry.trace import SpanKind

        name = f"{method} {'/'.join(path.split('?')[0].split('/')[:3])}"
        attributes = {"http.request.method": method, "url.path": path.split("?")[0]}
        return TracedSpan(self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes))


class TracedSpan:
    """One logical request as a span."""

    def __init__(self, span: "Span") -> None:
        self._span = span

    def ended(self, attempts: int, last: Reply | Failed | None, error: ParetaError | None) -> None:
        """Set what is known and end the span."""
        from opentelemetry.trace import Status, StatusCode

        self._span.set_attribute("pareta.attempts", attempts)
        if isinstance(last, Reply):
            self._span.set_attribute("http.response.status_code", last.status)
            self._span.set_attribute("pareta.request_id", last.header(b"x-request-id") or "")
        if error is not None:
            self._span.set_attribute("error.type", type(error).__name__)
            self._span.set_status(Status(StatusCode.ERROR, str(error)))
        self._span.end()


def installed_tracing() -> Tracing:
    """Choose by what the program has loaded: one that traces has imported OpenTelemetry by now."""
    if "opentelemetry.trace" not in sys.modules:
        return NoTracing()
    from opentelemetry.trace import get_tracer

    return OpenTelemetry(get_tracer("pareta_client"))
