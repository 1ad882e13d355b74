"""The custom events: each has the payload and the resource id that docs/prefect.md says."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pareta_batch.errors import BatchStopped
from pareta_client import Endpoint, InsufficientCreditsError
from pareta_report import drift_in, judge, run_scores
from tasks import events
from tests.flows.test_outcomes import report
from tests.report.runs import right, run, scored

DOCS = (Path(__file__).parents[2] / "docs/prefect.md").read_text(encoding="utf-8")
EVAL_RUN = run(scored("wren-1", right(150, 200)))
DRIFT = drift_in({"run_1": run_scores(EVAL_RUN)})
OUT_OF_CREDIT = InsufficientCreditsError("empty", status_code=402)

MOMENTS: dict[str, Callable[[], None]] = {
    "pareta.endpoint.ready": lambda: events.endpoint_ready(Endpoint(id="ep_1", name="n", model="wren-1", task="t")),
    "pareta.batch.completed": lambda: events.batch_ended(report()),
    "pareta.batch.incomplete": lambda: events.batch_ended(report(failed=2)),
    "pareta.credits.exhausted": lambda: events.comparison_failed("tickets", OUT_OF_CREDIT),
    "pareta.comparison.decided": lambda: events.comparison_decided(judge("tickets", "t", EVAL_RUN)),
    "pareta.quality.drifted": lambda: events.quality_drifted("tickets", DRIFT, 1),
    "pareta.quality.unavailable": lambda: events.quality_unavailable("tickets", DRIFT),
}


@pytest.fixture
def emitted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, dict[str, Any]]]:
    """Return the list of emitted events: name, resource id, payload."""
    seen: list[tuple[str, str, dict[str, Any]]] = []

    def emit(event: str, *, resource: dict[str, str], payload: dict[str, Any]) -> None:
        seen.append((event, resource["prefect.resource.id"], payload))

    monkeypatch.setattr("prefect.events.emit_event", emit)
    monkeypatch.setattr(events, "uses_prefect", lambda: True)
    return seen


def row_of(event: str) -> tuple[str, set[str], bool]:
    """Read from the docs: the resource id, the fields of the payload, and whether those are all."""
    (row,) = [line for line in DOCS.splitlines() if line.startswith(f"| `{event}`")]
    _, _, resource, payload, _ = row.split("|")
    return resource, set(re.findall(r"`(\w+)`", payload)), "…" not in payload


@pytest.mark.parametrize("name", MOMENTS)
def test_an_event_has_the_payload_and_the_resource_that_are_documented(
    name: str, emitted: list[tuple[str, str, dict[str, Any]]]
) -> None:
    MOMENTS[name]()
    ((event, resource, payload),) = emitted
    documented, fields, all_of_them = row_of(name)
    assert event == name
    assert resource.rpartition(".")[0] in documented
    assert fields <= payload.keys()
    assert not all_of_them or fields == payload.keys()


def test_an_empty_balance_is_told_beside_the_incomplete_batch(emitted: list[tuple[str, str, dict[str, Any]]]) -> None:
    events.batch_ended(report(stop=BatchStopped("InsufficientCreditsError", "out of credit")))
    assert [event for event, _, _ in emitted] == ["pareta.batch.incomplete", "pareta.credits.exhausted"]
    assert emitted[1][1:] == ("pareta.batch.reviews", {"name": "reviews", "pending": 4})


class NoQuotaError(InsufficientCreditsError):
    """A more specific error of missing credit."""


@pytest.mark.parametrize(
    ("reason", "announced"),
    [
        ("InsufficientCreditsError", True),
        ("NoQuotaError", True),
        ("AuthenticationError", False),
        ("APIStatusError", False),
        ("BudgetReached", False),
        ("Interrupted", False),
        ("NoSuchReason", False),
    ],
)
def test_the_class_of_the_stop_decides_whether_the_credit_is_exhausted(
    emitted: list[tuple[str, str, dict[str, Any]]], reason: str, announced: bool
) -> None:
    events.batch_ended(report(stop=BatchStopped(reason, "stopped")))
    assert ("pareta.credits.exhausted" in [event for event, _, _ in emitted]) == announced


def test_any_other_failure_of_a_comparison_is_no_news_of_the_credit(
    emitted: list[tuple[str, str, dict[str, Any]]],
) -> None:
    events.comparison_failed("tickets", ValueError("a bug"))
    assert emitted == []


def test_every_event_in_the_docs_but_that_of_the_user_is_emitted() -> None:
    assert set(re.findall(r"^\| `(pareta\.[a-z.]+)`", DOCS, re.MULTILINE)) == MOMENTS.keys() | {"pareta.dataset.added"}
