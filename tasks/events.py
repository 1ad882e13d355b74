"""Custom events that Prefect automations and triggers chain on; each has a stable resource id.

Without a configured Prefect API none is emitted. If log lines are JSON, each is a log line too.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pareta_batch import BatchReport, dollars, error_class_named, logs_are_json
from pareta_client import Endpoint, InsufficientCreditsError
from tasks.direct import run_logger, uses_prefect

if TYPE_CHECKING:
    from pareta_report import Comparison, Drift


def endpoint_ready(endpoint: Endpoint) -> None:
    """Emit `pareta.endpoint.ready`: payload `endpoint`, `name`, `model`, `task`."""
    payload = {"endpoint": endpoint.id, "name": endpoint.name, "model": endpoint.model, "task": endpoint.task}
    _emit("pareta.endpoint.ready", f"pareta.endpoint.{endpoint.id}", payload)


def batch_ended(report: BatchReport) -> None:
    """Emit `pareta.batch.completed` or `pareta.batch.incomplete`: payload is the report.

    Also emits `pareta.credits.exhausted` if missing credit stopped the batch.
    """
    ending = "completed" if report.status == "completed" else "incomplete"
    resource = f"pareta.batch.{report.name}"
    _emit(f"pareta.batch.{ending}", resource, report.model_dump(mode="json"))
    stopped_by = error_class_named(report.stopped) if report.stopped else None
    if stopped_by is not None and issubclass(stopped_by, InsufficientCreditsError):
        _credits_exhausted(resource, report.name, report.pending)


def comparison_decided(comparison: "Comparison") -> None:
    """Emit `pareta.comparison.decided`: payload `name`, `task`, `run_id`, `verdict`, `winner`, `sentence`."""
    payload = {
        "name": comparison.name,
        "task": comparison.task,
        "run_id": comparison.run_id,
        "verdict": comparison.verdict.kind,
        "winner": comparison.verdict.winner,
        "sentence": comparison.verdict.sentence,
    }
    _emit("pareta.comparison.decided", f"pareta.comparison.{comparison.name}", payload)


def comparison_failed(name: str, error: Exception) -> None:
    """Emit `pareta.credits.exhausted` if the comparison failed for it: payload `name`, and `pending` of null."""
    if isinstance(error, InsufficientCreditsError):
        _credits_exhausted(f"pareta.comparison.{name}", name, None)


@contextmanager
def announce_unpaid_watch(watch: str) -> Iterator[None]:
    """Emit `pareta.credits.exhausted` if missing credit ends the body: payload `name`, and `pending` of null."""
    try:
        yield
    except InsufficientCreditsError:
        _credits_exhausted(f"pareta.watch.{watch}", watch, None)
        raise


def quality_drifted(watch: str, drift: "Drift", spent_micro_usd: int) -> None:
    """Emit `pareta.quality.drifted`: payload `watch`, `models`, `reference`, `run_id`, `sentence`, `rows`, `cost`.

    `spent_micro_usd`: the cost of this run of the watch.
    """
    payload = {
        "watch": watch,
        "models": [change.model for change in drift.drifted],
        "reference": drift.reference,
        "run_id": drift.run_id,
        "sentence": str(drift),
        "rows": max((change.n or 0 for change in drift.drifted), default=0),
        "cost": dollars(spent_micro_usd),
    }
    _emit("pareta.quality.drifted", f"pareta.watch.{watch}", payload)


def quality_unavailable(watch: str, drift: "Drift") -> None:
    """Emit `pareta.quality.unavailable`: payload `watch`, `models`, `unanswered` (shares), `run_id`, `sentence`."""
    payload = {
        "watch": watch,
        "models": [each.model for each in drift.unavailable],
        "unanswered": {each.model: each.unanswered for each in drift.unavailable},
        "run_id": drift.run_id,
        "sentence": "; ".join(map(str, drift.unavailable)),
    }
    _emit("pareta.quality.unavailable", f"pareta.watch.{watch}", payload)


def _credits_exhausted(resource: str, name: str, pending: int | None) -> None:
    _emit("pareta.credits.exhausted", resource, {"name": name, "pending": pending})


def _emit(event: str, resource: str, payload: dict[str, Any]) -> None:
    if logs_are_json():
        run_logger().info("event %s", event, extra={"event": event, "fields": payload})
    if uses_prefect():
        from prefect.events import emit_event

        emit_event(event, resource={"prefect.resource.id": resource}, payload=payload)
