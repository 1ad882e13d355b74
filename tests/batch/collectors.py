"""A collector of OTLP over HTTP, on loopback."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import NumberDataPoint
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collector(ThreadingHTTPServer):
    """A collector of OTLP over HTTP."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receive)
        self.received: list[tuple[str, bytes]] = []


class _Receive(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.received.append((self.path, body))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def spans_in(received: Sequence[tuple[str, bytes]]) -> list[Span]:
    """Return the received spans."""
    traces = [ExportTraceServiceRequest.FromString(body) for path, body in list(received) if path == "/v1/traces"]
    return [
        span for each in traces for found in each.resource_spans for scope in found.scope_spans for span in scope.spans
    ]


def sums_in(received: Sequence[tuple[str, bytes]], metric: str, label: str) -> dict[str, int]:
    """Return the last value of each series of a counter, by one of its attributes; values are cumulative."""
    found = {}
    for body in [body for path, body in list(received) if path == "/v1/metrics"]:
        for each in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            metrics = [one for scope in each.scope_metrics for one in scope.metrics if one.name == metric]
            for point in [point for one in metrics for point in one.sum.data_points]:
                found[attributes_of(point)[label]] = point.as_int
    return found


def attributes_of(found: Span | NumberDataPoint) -> dict[str, Any]:
    """Return the attributes of a span or of a data point."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value") or "") for each in found.attributes}
