"""Set-up of OpenTelemetry from its standard environment variables, once per process.

Without a provider of the program and without these variables nothing is imported. An exporter that fails or hangs costs
the run nothing: spans and metrics are exported by threads of their own, and dropped when their queue is full.
"""

import atexit
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from pareta_batch.owner_tags import Tags
from pareta_batch.spec import Batch

if TYPE_CHECKING:
    from pareta_batch.engine.telemetry import SessionTelemetry

FLUSH_WITHIN_S = 2.0
"""Seconds for the last export when the process ends. Raising it delays the end if the collector hangs."""
SIGNALS = ("TRACES", "METRICS")
DISABLED = "OTEL_SDK_DISABLED"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
SERVICE = "pareta-pipelines"

log = logging.getLogger(__name__)


def session_telemetry(
    batch: Batch, base_url: str, spent_micro_usd: int | None, budget_left: Callable[[], int | None]
) -> "SessionTelemetry | None":
    """Return the telemetry of a session; None if OpenTelemetry is not configured or not installed."""
    if not _is_configured():
        return None
    try:
        from pareta_batch.engine.telemetry import SessionTelemetry

        return SessionTelemetry(batch, base_url, spent_micro_usd, budget_left)
    except Exception as error:  # noqa: BLE001 - providers of other software must not stop a batch
        log.warning("no metrics and traces: %s: %s", type(error).__name__, error)
        return None


@contextmanager
def traced(kind: str, name: str, tags: Tags) -> Iterator[dict[str, str | int]]:
    """Trace and time work that is no session while the body runs; the yielded attributes are set on its span.

    `error.type` among them marks a failure. Without OpenTelemetry they are dropped.
    """
    found: dict[str, str | int] = {}
    if not _is_configured():
        yield found
        return
    from pareta_batch.engine.work_span import work_span

    with work_span(kind, name, tags, found):
        yield found


def count_purchase(account: str, tags: Tags, micro_usd: int) -> None:
    """Count a bill that is new in the ledger, under its account."""
    if micro_usd and _is_configured():
        from pareta_batch.engine.work_span import count_purchase

        count_purchase(account, tags, micro_usd)


def set_money(batch: Batch, read: Callable[[], tuple[int, int | None]]) -> None:
    """Set the gauges of a batch; `read`, called only then, returns its receipts and its budget left in micro-USD."""
    if _is_configured():
        from pareta_batch.engine.work_span import set_money

        set_money(batch, read)


def _is_configured() -> bool:
    if os.environ.get(DISABLED, "").strip().lower() == "true":
        return False
    return _program_has_provider() or (any(exporters(os.environ).values()) and _set_up())


def exporters(environment: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the names of the exporters by signal: `otlp` for a signal that has only an endpoint."""
    found = {}
    for signal in SIGNALS:
        default = "otlp" if environment.get(ENDPOINT) or environment.get(_of_signal(signal, "ENDPOINT")) else ""
        names = environment.get(f"OTEL_{signal}_EXPORTER", "").strip() or default
        found[signal] = [name for name in map(str.strip, names.split(",")) if name and name != "none"]
    return found


def _program_has_provider() -> bool:
    """Check whether this program has set a provider of its own."""
    # The API alone, which Prefect imports, exports nothing.
    for module, getter in (("trace", "get_tracer_provider"), ("metrics", "get_meter_provider")):
        name = f"opentelemetry.{module}"
        if name in sys.modules and not type(getattr(sys.modules[name], getter)()).__module__.startswith(name):
            return True
    return False


@cache
def _set_up() -> bool:
    """Set the providers of the process; return False, with one log line, if that fails."""
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        log.warning("no metrics and traces: the SDK of OpenTelemetry is missing; pip install 'pareta-pipelines[otel]'")
        return False
    try:
        _set_providers(exporters(os.environ))
    except Exception as error:  # noqa: BLE001 - a wrong setting must not stop a batch
        problem = f"{type(error).__name__}: {error}"
        log.warning("no metrics and traces: %s; check the OTEL_ variables of the environment", problem)
        return False
    return True


def _set_providers(wanted: Mapping[str, list[str]]) -> None:
    from opentelemetry import metrics, trace
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    _report_failures_once()
    named = "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    resource = Resource.create({} if named else {"service.name": SERVICE})
    made = {signal: [_exporter(signal, name)() for name in names] for signal, names in wanted.items()}
    # Their own handlers at exit wait up to half a minute for a collector that hangs.
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    for each in made["TRACES"]:
        tracers.add_span_processor(BatchSpanProcessor(each))
    readers = [
        each if isinstance(each, MetricReader) else PeriodicExportingMetricReader(each) for each in made["METRICS"]
    ]
    meters = MeterProvider(readers, resource=resource, shutdown_on_exit=False)
    if made["TRACES"]:
        trace.set_tracer_provider(tracers)
    if made["METRICS"]:
        metrics.set_meter_provider(meters)
    _shut_down_at_exit(meters.shutdown, tracers.shutdown)


def _exporter(signal: str, name: str) -> Callable[[], Any]:
    """Return the class of an installed exporter. Raises ValueError."""
    protocol = os.environ.get(_of_signal(signal, "PROTOCOL")) or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") or ""
    if name == "otlp":
        name = "otlp_proto_grpc" if protocol.strip() == "grpc" else "otlp_proto_http"
    found = entry_points(group=f"opentelemetry_{signal.lower()}_exporter")
    if name not in found.names:
        has = ", ".join(sorted(found.names))
        raise ValueError(f"exporter {name!r} of OTEL_{signal}_EXPORTER is not installed; installed: {has}")
    loaded: Callable[[], Any] = found[name].load()
    return loaded


def _of_signal(signal: str, name: str) -> str:
    return f"OTEL_EXPORTER_OTLP_{signal}_{name}"


def _shut_down_at_exit(*shut_downs: Callable[[], object]) -> None:
    """Export what is left when the process ends, for `FLUSH_WITHIN_S` seconds at most."""
    ending, done = Event(), Event()

    def shut_down() -> None:
        ending.wait()
        for each in shut_downs:
            each()
        done.set()

    # Started now: from Python 3.12, no thread can be started while the interpreter ends.
    Thread(target=shut_down, name="last export", daemon=True).start()

    @atexit.register
    def end() -> None:
        ending.set()
        done.wait(FLUSH_WITHIN_S)


def _report_failures_once() -> None:
    """Send the log lines of exporters to one warning: a collector that is away would add lines for hours."""
    exporting = logging.getLogger("opentelemetry")
    exporting.propagate = False
    exporting.addHandler(_FirstFailure(logging.WARNING))


class _FirstFailure(logging.Handler):
    """A handler that reports the first record."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self._reported = False

    def emit(self, record: logging.LogRecord) -> None:
        """Log the first record; further ones only for debugging."""
        level = logging.DEBUG if self._reported else logging.WARNING
        self._reported = True
        log.log(level, "metrics and traces: %.300s; the run continues", record.getMessage())
