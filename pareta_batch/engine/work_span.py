"""OpenTelemetry of work that is no session: comparisons, watches, deployments, purchases, and the money of members.

A program without OpenTelemetry never imports this.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import INVALID_SPAN, Span, Status, StatusCode

from pareta_batch.engine.instruments import Instruments
from pareta_batch.engine.telemetry import harmless
from pareta_batch.owner_tags import Tags
from pareta_batch.run_context import run_fields
from pareta_batch.spec import Batch

ERROR = "error.type"


@contextmanager
def work_span(kind: str, name: str, tags: Tags, found: Mapping[str, str | int]) -> Iterator[None]:
    """Trace and time the body as work of a kind, with its owner, and at its end the attributes that were `found`."""
    named = {f"pareta.{kind}": name, **_owner(tags)}
    span: Span = INVALID_SPAN
    with harmless():
        known = {f"pareta.{field}": value for field, value in run_fields.get().items()}
        span = trace.get_tracer("pareta_batch").start_span(f"{kind} {name}", attributes={**known, **named})
    failure: str | None = None
    began = time.perf_counter()
    try:
        with trace.use_span(span, record_exception=False, set_status_on_exception=False):
            yield
    except BaseException as error:
        failure = type(error).__name__
        raise
    finally:
        with harmless():
            ended = {**found, ERROR: failure} if failure else found
            failed = {ERROR: ended[ERROR]} if ERROR in ended else {}
            Instruments().work.record(time.perf_counter() - began, {"pareta.work": kind, **named, **failed})
            _end(span, ended)


def count_purchase(account: str, tags: Tags, micro_usd: int) -> None:
    """Count a bill that is new in the ledger, under its account."""
    with harmless():
        Instruments().purchases.add(micro_usd, {"pareta.account": account, **_owner(tags)})


def set_money(batch: Batch, read: Callable[[], tuple[int, int | None]]) -> None:
    """Set the gauges of a batch; `read` returns its receipts and its budget left in micro-USD."""
    with harmless():
        Instruments().set_money(batch, *read())


def _owner(tags: Tags) -> dict[str, str]:
    return {f"pareta.{kind}": name for kind, name in tags.named().items()}


def _end(span: Span, found: Mapping[str, str | int]) -> None:
    span.set_attributes(found)
    if ERROR in found:
        span.set_status(Status(StatusCode.ERROR))
    span.end()
