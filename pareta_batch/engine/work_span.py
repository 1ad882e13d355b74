"""OpenTelemetry span of work that is no session: a comparison. A program without OpenTelemetry never imports this."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import INVALID_SPAN, Span, Status, StatusCode

from pareta_batch.engine.telemetry import harmless
from pareta_batch.run_context import run_fields


@contextmanager
def work_span(name: str, attributes: Mapping[str, str], found: Mapping[str, str | int]) -> Iterator[None]:
    """Trace the body as a span with `attributes`, and at its end those that were `found`."""
    span: Span = INVALID_SPAN
    with harmless():
        known = {f"pareta.{field}": value for field, value in run_fields.get().items()}
        span = trace.get_tracer("pareta_batch").start_span(name, attributes={**known, **attributes})
    failure: str | None = None
    try:
        with trace.use_span(span, record_exception=False, set_status_on_exception=False):
            yield
    except BaseException as error:
        failure = type(error).__name__
        raise
    finally:
        with harmless():
            _end(span, {**found, "error.type": failure} if failure else found)


def _end(span: Span, found: Mapping[str, str | int]) -> None:
    span.set_attributes(found)
    if "error.type" in found:
        span.set_status(Status(StatusCode.ERROR))
    span.end()
