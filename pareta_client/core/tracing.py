"""OpenTelemetry spans, one for each call; no spans if the program does not use OpenTelemetry."""

import sys
from typing import TYPE_CHECKING

from pareta_client.core.steps import Failed, Reply
from pareta_client.errors import ParetaError

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer


class Trace:
    """Trace of one call; this one records nothing."""

    def end(self, attempts: int, last: Reply | Failed | None, error: ParetaError | None) -> None:
        """Record the result; `last` is None if the call was cancelled during the first attempt."""


class Tracing:
    """Tracer of calls; this one is without effect."""

    def start(self, method: str, path: str) -> Trace:
        """Start the trace of one call."""
        return NO_TRACE


NO_TRACE = Trace()


class OpenTelemetry(Tracing):
    """Tracer with one client span for each call and its attempts."""

    def __init__(self, tracer: "Tracer") -> None:
        self._tracer = tracer

    def start(self, method: str, path: str) -> Trace:
        """Start a span; its name has no ids, so that spans can be grouped by name.

        A caller that traces the call itself suppresses it with the key of all HTTP instrumentations.
        """
        from opentelemetry import context
        from opentelemetry.context import _SUPPRESS_HTTP_INSTRUMENTATION_KEY
        from opentelemetry.trace import SpanKind

        if context.get_value(_SUPPRESS_HTTP_INSTRUMENTATION_KEY):
            return NO_TRACE
        name = f"{method} {'/'.join(path.split('?')[0].split('/')[:3])}"
        attributes = {"http.request.method": method, "url.path": path.split("?")[0]}
        return TracedSpan(self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes))


class TracedSpan(Trace):
    """Span of one call."""

    def __init__(self, span: "Span") -> None:
        self._span = span

    def end(self, attempts: int, last: Reply | Failed | None, error: ParetaError | None) -> None:
        """Set the attributes and end the span."""
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
    """Return a tracer; OpenTelemetry is used only if the program has already imported it."""
    if "opentelemetry.trace" not in sys.modules:
        return Tracing()
    from opentelemetry.trace import get_tracer

    return OpenTelemetry(get_tracer("pareta_client"))
