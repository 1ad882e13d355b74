"""Spans, through OpenTelemetry's own interface."""

import subprocess
import sys
from typing import Any

from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, Tracer

from pareta_client.core.call import get, post
from pareta_client.core.exchanges import exchange
from pareta_client.core.tracing import OpenTelemetry
from pareta_client.settings import Options, Settings
from tests.client.playing import failed, play, reply, settings


class SeenSpan(NonRecordingSpan):
    """A span that remembers what it was told."""

    def __init__(self, name: str, kind: SpanKind, attributes: dict[str, Any]) -> None:
        super().__init__(SpanContext(1, 1, is_remote=False))
        self.name, self.kind, self.attributes = name, kind, dict(attributes)
        self.status: Status | None = None
        self.ended = 0

    def set_attribute(self, key: str, value: Any) -> None:
        self.attributes[key] = value

    def set_status(self, status: Any, description: str | None = None) -> None:
        self.status = status

    def end(self, end_time: int | None = None) -> None:
        self.ended += 1


class SeenTracer(Tracer):
    """A tracer that remembers its spans."""

    def __init__(self) -> None:
        self.spans: list[SeenSpan] = []

    def start_span(self, name: str, *_: Any, kind: Any = SpanKind.INTERNAL, attributes: Any = None, **__: Any) -> Any:
        self.spans.append(SeenSpan(name, kind, attributes or {}))
        return self.spans[-1]

    def start_as_current_span(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("a generator must not change what is current")


def traced_by(tracer: SeenTracer) -> Settings:
    base = settings()
    return Settings(base.base_url, base.secret, Options(), tracing=OpenTelemetry(tracer), jitter=base.jitter)


def test_one_span_covers_all_attempts_of_a_request() -> None:
    tracer = SeenTracer()
    ask = post("/v1/chat/completions", "key-1", {"messages": ["private"]})
    play(exchange(ask, traced_by(tracer)), [reply(503), failed(), reply(200, x_request_id="req_3")])
    (span,) = tracer.spans
    assert (span.name, span.kind, span.ended, span.status) == ("POST /v1/chat", SpanKind.CLIENT, 1, None)
    assert span.attributes == {
        "http.request.method": "POST",
        "url.path": "/v1/chat/completions",
        "http.response.status_code": 200,
        "pareta.attempts": 3,
        "pareta.request_id": "req_3",
    }


def test_a_failed_request_is_a_failed_span_with_the_class_of_the_error() -> None:
    tracer = SeenTracer()
    play(exchange(get("/v1/endpoints/ep_1?x=1"), traced_by(tracer)), [reply(404, b'{"detail": "no such endpoint"}')])
    (span,) = tracer.spans
    assert (span.name, span.attributes["url.path"]) == ("GET /v1/endpoints", "/v1/endpoints/ep_1")
    assert span.attributes["error.type"] == "NotFoundError"
    assert span.status is not None
    assert (span.status.is_ok, span.status.description, span.ended) == (False, "no such endpoint", 1)


def test_a_request_that_is_given_up_from_outside_ends_its_span() -> None:
    tracer = SeenTracer()
    operation = exchange(get("/v1/models"), traced_by(tracer))
    next(operation)
    operation.close()
    assert (tracer.spans[0].ended, tracer.spans[0].attributes["pareta.attempts"]) == (1, 1)


def test_a_program_that_does_not_trace_does_not_load_opentelemetry() -> None:
    program = (
        "from pareta_client import Pareta\n"
        "Pareta(api_key='pareta_sk_x', base_url='http://localhost')\n"
        "import sys\nassert not any(name.startswith('opentelemetry') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
