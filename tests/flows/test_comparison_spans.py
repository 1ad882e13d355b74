"""OpenTelemetry: one span for each comparison, with the bill of the ledger."""

from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from flows.compare_models import compare_models
from flows.outcomes import report_of
from pareta_batch import Ledger, spending
from pareta_sandbox.faults.kinds import EvalRunFails
from pareta_sandbox.testing import Sandbox, Status
from tests.flows.test_compare_models import comparisons


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """A provider that a program has set, with an exporter in memory."""
    exporter, tracers = InMemorySpanExporter(), TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", tracers)
    return exporter


def of_comparisons(spans: InMemorySpanExporter) -> list[dict[str, object]]:
    found = [span for span in spans.get_finished_spans() if span.name.startswith("comparison ")]
    return [{"name": span.name, "ok": span.status.is_ok, **(span.attributes or {})} for span in found]


async def test_a_comparison_is_a_span_with_its_owner_and_the_bill_of_the_ledger(
    direct: Sandbox, spans: InMemorySpanExporter, tmp_path: Path
) -> None:
    work = comparisons(tmp_path, "one", "two")
    work = work.model_validate({**work.model_dump(), "tags": {"team": "support"}})
    await compare_models(work)
    found = of_comparisons(spans)
    assert {each["name"] for each in found} == {"comparison one", "comparison two"}
    assert {(each["pareta.team"], each["ok"]) for each in found} == {("support", True)}
    # Equal work is bought once: both wait for one eval run.
    bills = {each["pareta.eval_run"]: each["pareta.billed_micro_usd"] for each in found}
    ledger = Ledger.open()
    assert list(bills.values()) == [spending(ledger, work.account.name).micro_usd]
    ledger.close()


@pytest.mark.parametrize(
    ("fault", "error"),
    [(EvalRunFails(), "EvalRunFailed"), (Status(route="eval_runs", status=402, times=1), "InsufficientCreditsError")],
)
async def test_a_failed_comparison_has_its_error_and_no_text(
    fault: EvalRunFails | Status, error: str, direct: Sandbox, spans: InMemorySpanExporter, tmp_path: Path
) -> None:
    direct.inject(fault)
    await report_of(await compare_models(comparisons(tmp_path, "one"), return_state=True))
    (found,) = of_comparisons(spans)
    assert (found["error.type"], found["ok"]) == (error, False)
    assert not any("injected" in str(value) for value in found.values())
