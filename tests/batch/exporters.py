"""Exporters of OpenTelemetry in memory, and providers that a program has set."""

from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.metrics import _internal as metrics_api
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


@dataclass
class Seen:
    """What the exporters of a test got."""

    spans: InMemorySpanExporter
    reader: InMemoryMetricReader

    def points(self, name: str) -> list[Any]:
        """Return the data points of a metric."""
        data = self.reader.get_metrics_data()
        return [
            point
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]

    def total(self, name: str, **wanted: object) -> Any:
        """Return the sum of a metric over the points with these attributes."""
        points = [each for each in self.points(name) if wanted.items() <= dict(each.attributes).items()]
        return sum(getattr(each, "sum", getattr(each, "value", 0)) for each in points)

    def calls(self) -> int:
        """Return the number of measured calls."""
        return sum(point.count for point in self.points("gen_ai.client.operation.duration"))

    def named(self, name: str) -> list[ReadableSpan]:
        """Return the ended spans whose names begin with a text."""
        return [span for span in self.spans.get_finished_spans() if span.name.startswith(name)]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Providers that a program has set, with exporters in memory."""
    found = Seen(InMemorySpanExporter(), InMemoryMetricReader())
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(found.spans))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", tracers)
    monkeypatch.setattr(metrics_api, "_METER_PROVIDER", MeterProvider([found.reader]))
    return found
