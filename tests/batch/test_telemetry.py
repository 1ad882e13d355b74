"""OpenTelemetry: spans of run, shard and call, and metrics whose sums are those of the ledger."""

import json
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from opentelemetry import trace
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.sdk.trace import ReadableSpan

from pareta_batch.engine import telemetry_setup
from pareta_batch.engine.telemetry import CAPTURE
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.schema import rows
from pareta_batch.run import retry_failed
from pareta_batch.run_context import name_run
from pareta_client import AsyncPareta
from pareta_sandbox.testing import Drop, Fault, Hang, Sandbox, Status, TruncatedJson
from tests.batch.batches import QUICK, batch_in, run, until
from tests.batch.collectors import collector, spans_in
from tests.batch.exporters import Seen, seen
from tests.batch.processes import running_elsewhere
from tests.batch.telemetry_runs import ran_with
from tests.ports import closed_port

__all__ = ["seen"]


@dataclass(frozen=True)
class InLedger:
    """Sums of the ledger over all rows."""

    prompt_tokens: int
    completion_tokens: int
    billed_micro_usd: int
    attempts: int


def in_ledger(ledger: Ledger) -> InLedger:
    columns = rows.c.prompt_tokens, rows.c.completion_tokens, rows.c.billed_micro_usd, rows.c.attempts
    with ledger.transaction() as db:
        sums = db.execute(sa.select(*(sa.func.coalesce(sa.func.sum(column), 0) for column in columns))).one()
    return InLedger(*(int(each) for each in sums))


def measured(seen: Seen) -> InLedger:
    kinds = (seen.total("gen_ai.client.token.usage", **{"gen_ai.token.type": kind}) for kind in ("input", "output"))
    return InLedger(next(kinds), next(kinds), seen.total("pareta.batch.spend"), seen.calls())


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


async def test_a_run_is_a_trace_of_run_shards_and_calls(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, seen: Seen
) -> None:
    name_run(flow_run_id="f-1")
    batch = batch_in(tmp_path, 60, shard_size=25, tags={"team": "support"})
    report = await run(batch, sandbox, ledger)
    (whole,) = seen.named("batch test")
    shards, calls = seen.named("shard"), seen.named("chat")
    assert (len(shards), len(calls)) == (3, 60)
    assert whole.parent is None
    assert {each.parent.span_id for each in shards if each.parent} == {whole.context.span_id}
    parents = Counter(each.parent.span_id for each in calls if each.parent)
    assert parents == {each.context.span_id: 25 if attributes(each)["pareta.shard"] < 2 else 10 for each in shards}
    assert {each.context.trace_id for each in (whole, *shards, *calls)} == {whole.context.trace_id}
    assert len(seen.spans.get_finished_spans()) == 64, "the client adds no spans of its own"
    assert attributes(whole) == {
        "pareta.batch": "test",
        "pareta.team": "support",
        "pareta.flow_run_id": "f-1",
        "gen_ai.request.model": batch.model,
        "pareta.calls": 60,
        "gen_ai.usage.input_tokens": in_ledger(ledger).prompt_tokens,
        "gen_ai.usage.output_tokens": in_ledger(ledger).completion_tokens,
        "pareta.spend_micro_usd": report.billed_micro_usd,
    }


async def test_a_call_has_the_attributes_of_the_conventions(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, seen: Seen
) -> None:
    batch = batch_in(tmp_path, 1, sampling={"max_tokens": 10, "temperature": 0})
    await run(batch, sandbox, ledger)
    (call,) = seen.named("chat")
    found = attributes(call)
    assert (call.name, call.kind) == (f"chat {batch.model}", trace.SpanKind.CLIENT)
    assert found.pop("server.port") == int(sandbox.base_url.rsplit(":", 1)[1])
    assert found.pop("pareta.request_id")
    assert found == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "pareta",
        "gen_ai.request.model": batch.model,
        "gen_ai.request.max_tokens": 10,
        "gen_ai.request.temperature": 0,
        "gen_ai.response.model": found["gen_ai.response.model"],
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": in_ledger(ledger).prompt_tokens,
        "gen_ai.usage.output_tokens": in_ledger(ledger).completion_tokens,
        "server.address": "127.0.0.1",
        "pareta.batch": "test",
        "pareta.attempt": 1,
        "pareta.resent": False,
        "pareta.billed_micro_usd": in_ledger(ledger).billed_micro_usd,
    }
    (point,) = seen.points("gen_ai.client.operation.duration")
    assert dict(point.attributes) == {
        name: found.get(name, int(sandbox.base_url.rsplit(":", 1)[1]))
        for name in (
            *("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model"),
            *("server.address", "server.port"),
        )
    }


FAULTS: dict[str, tuple[Fault, ...]] = {
    "none": (),
    "refusals": (Status(status=429, times=6, retry_after_s=0.01, retry_after="fractional"),),
    "errors": (Status(status=500, times=5), Status(status=400, times=3, skip=20, detail="refused")),
    "lost answers": (Drop(when="after", times=4), Hang(when="after", times=1, skip=10)),
    "lost requests": (Drop(when="before", how="reset", times=4),),
    "unusable replies": (TruncatedJson(times=3),),
}


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS.keys())
async def test_the_sums_are_those_of_the_ledger_and_of_the_books(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, seen: Seen, faults: tuple[Fault, ...]
) -> None:
    for fault in faults:
        sandbox.inject(fault)
    report = await run(batch_in(tmp_path, 60, max_in_flight=8, timeout_s=1), sandbox, ledger, policy=QUICK)
    assert report.pending == 0
    assert measured(seen) == in_ledger(ledger)
    refused = sum(attributes(each).get("error.type") == "RateLimitError" for each in seen.named("chat"))
    assert seen.total("pareta.batch.refusals", **{"error.type": "RateLimitError"}) == refused
    assert seen.total("pareta.batch.calls.in_flight") == 0
    assert seen.total("pareta.batch.billed") == in_ledger(ledger).billed_micro_usd
    lost = report.replayed_at_most_micro_usd or 0
    billed = in_ledger(ledger).billed_micro_usd
    assert billed <= sandbox.books().debited_micro_usd <= billed + lost
    if not report.replayed:
        assert sandbox.books().debited_micro_usd == billed
    replays = [attributes(each) for each in seen.named("chat") if attributes(each).get("pareta.replayed")]
    assert len(replays) == report.replayed
    assert all(each["pareta.resent"] and each["pareta.billed_micro_usd"] == 0 for each in replays)


async def test_a_second_run_and_a_retry_of_failed_rows_add_to_the_sums(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, seen: Seen
) -> None:
    fault = sandbox.inject(Status(status=500, share=1.0))
    batch = batch_in(tmp_path, 12)
    await run(batch, sandbox, ledger, policy=QUICK)
    assert measured(seen) == in_ledger(ledger)
    assert seen.total("pareta.batch.billed") == 0
    sandbox.remove(fault)
    await retry_failed(batch, AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url), ledger)
    await run(batch, sandbox, ledger)  # nothing is missing
    assert measured(seen) == in_ledger(ledger)
    assert seen.total("pareta.batch.billed") == sandbox.books().debited_micro_usd > 0
    stopped, *others = (attributes(each).get("error.type") for each in seen.named("batch test"))
    assert (stopped, others) == (None, [None, None])


async def test_after_a_kill_the_totals_of_the_next_run_are_those_of_the_ledger(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, ledger_url: str, seen: Seen
) -> None:
    sandbox.change(latency_ms=20)
    batch = batch_in(tmp_path, 150, max_in_flight=8)
    with running_elsewhere(batch, sandbox, ledger_url) as process:
        await until(lambda: sandbox.books().completions >= 40 or not process.is_alive(), within_s=60)
        assert process.is_alive(), "it ended before it could be killed"
    await until(lambda: sandbox.books().in_flight == 0)
    sandbox.change(latency_ms=0)
    before = in_ledger(ledger)
    report = await run(batch, sandbox, ledger)
    after, own = in_ledger(ledger), measured(seen)
    assert (report.settled, report.replayed > 0) == (150, True)
    assert own.billed_micro_usd == after.billed_micro_usd - before.billed_micro_usd
    assert own.prompt_tokens == after.prompt_tokens - before.prompt_tokens
    assert own.completion_tokens == after.completion_tokens - before.completion_tokens
    assert seen.total("pareta.batch.billed") == after.billed_micro_usd == report.billed_micro_usd


async def test_the_budget_left_is_the_ceiling_without_the_receipts_and_a_stop_is_the_error_of_the_run(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, seen: Seen
) -> None:
    batch = batch_in(tmp_path, 300, budget_usd=0.001, max_in_flight=4)
    report = await run(batch, sandbox, ledger)
    assert report.stopped == "BudgetReached"
    assert report.billed_micro_usd is not None
    assert seen.total("pareta.batch.budget.left") == 1000 - report.billed_micro_usd
    (whole,) = seen.named("batch test")
    assert (attributes(whole)["error.type"], whole.status.is_ok) == ("BudgetReached", False)


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("status", [None, 400, 500])
async def test_no_text_of_prompts_answers_or_errors_is_exported_unless_asked(
    tmp_path: Path,
    sandbox: Sandbox,
    ledger: Ledger,
    seen: Seen,
    monkeypatch: pytest.MonkeyPatch,
    asked: bool,
    status: int | None,
) -> None:
    monkeypatch.setenv(CAPTURE, str(asked))
    if status is not None:
        sandbox.inject(Status(status=status, detail="cannot process 'Secret-4711'", times=1))
    dataset: list[dict[str, object]] = [{"id": "Secret-4711", "text": "Secret-4711 is late"}]
    batch = batch_in(tmp_path, dataset, prompt="Repeat: {text}")
    await run(batch, sandbox, ledger, policy=QUICK)
    exported = "".join(span.to_json() for span in seen.spans.get_finished_spans())
    assert ("Secret-4711" in exported) == asked
    data = seen.reader.get_metrics_data()
    assert data is not None
    assert "Secret-4711" not in data.to_json()
    if asked:
        last = attributes(seen.named("chat")[-1])
        assert json.loads(last["gen_ai.input.messages"]) == [
            {"role": "user", "parts": [{"type": "text", "content": "Repeat: Secret-4711 is late"}]}
        ]
        if status != 400:
            (answer,) = json.loads(last["gen_ai.output.messages"])
            assert (answer["role"], answer["finish_reason"]) == ("assistant", "stop")


async def test_a_fault_of_an_instrument_loses_no_answer(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("broken exporter")

    for name in ("_answered", "_failed", "_set_gauges"):
        monkeypatch.setattr(f"pareta_batch.engine.telemetry.SessionTelemetry.{name}", broken)
    report = await run(batch_in(tmp_path, 5), sandbox, ledger)
    assert (report.status, report.settled) == ("completed", 5)
    sandbox.debited_once()
    assert all(span.end_time for span in seen.named("chat"))


@pytest.mark.parametrize(
    ("environment", "traces", "metrics"),
    [
        ({}, [], []),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, ["otlp"], ["otlp"]),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c"}, ["otlp"], []),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c"}, [], ["otlp"]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "none"}, [], ["otlp"]),
        ({"OTEL_TRACES_EXPORTER": "console, otlp", "OTEL_METRICS_EXPORTER": "none"}, ["console", "otlp"], []),
        ({"OTEL_SERVICE_NAME": "x", "OTEL_TRACES_SAMPLER": "always_on"}, [], []),
    ],
)
def test_the_standard_variables_choose_the_exporters(
    environment: dict[str, str], traces: list[str], metrics: list[str]
) -> None:
    assert telemetry_setup.exporters(environment) == {"TRACES": traces, "METRICS": metrics}


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({}, marks=pytest.mark.long),
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "true"},
    ],
)
async def test_without_configuration_nothing_of_opentelemetry_is_imported(
    tmp_path: Path, sandbox: Sandbox, ledger_url: str, environment: dict[str, str]
) -> None:
    ran = await ran_with(environment, tmp_path, sandbox, ledger_url)
    assert (ran.modules, ran.stderr) == ([], [])


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        ({"OTEL_TRACES_EXPORTER": "no-such"}, "exporter 'no-such' of OTEL_TRACES_EXPORTER is not installed"),
        pytest.param(
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "'otlp_proto_grpc'",
            marks=pytest.mark.long,
        ),
        pytest.param(
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_EXPORTER_OTLP_TIMEOUT": "soon"},
            "Invalid timeout value 'soon'",
            marks=pytest.mark.long,
        ),
    ],
)
async def test_a_wrong_setting_is_one_warning_and_the_run_is_made(
    tmp_path: Path, sandbox: Sandbox, ledger_url: str, environment: dict[str, str], problem: str
) -> None:
    ran = await ran_with(environment, tmp_path, sandbox, ledger_url)
    (line,) = ran.stderr
    assert problem in line
    sandbox.completed(30)


@contextmanager
def silent_collector() -> Iterator[str]:
    """A collector that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@contextmanager
def refusing_collector() -> Iterator[str]:
    with closed_port() as port:
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("dead", [silent_collector, pytest.param(refusing_collector, marks=pytest.mark.long)])
async def test_a_dead_collector_does_not_disturb_the_run(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, ledger_url: str, dead: Any
) -> None:
    with dead() as url:
        quick = {"OTEL_METRIC_EXPORT_INTERVAL": "20", "OTEL_BSP_SCHEDULE_DELAY": "20", "OTEL_BSP_MAX_QUEUE_SIZE": "16"}
        sizes = {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "8"}
        ran = await ran_with({"OTEL_EXPORTER_OTLP_ENDPOINT": url, **quick, **sizes}, tmp_path, sandbox, ledger_url)
    assert "opentelemetry.sdk.trace" in ran.modules
    assert ledger.tally("test").settled == 30
    sandbox.completed(30)
    assert len(ran.stderr) <= 1, ran.stderr


async def test_a_collector_receives_the_spans_and_metrics_of_a_short_run_at_its_end(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, ledger_url: str
) -> None:
    with collector() as server:
        url = f"http://127.0.0.1:{server.server_port}"
        await ran_with({"OTEL_EXPORTER_OTLP_ENDPOINT": url}, tmp_path, sandbox, ledger_url)
    spans = spans_in(server.received)
    assert Counter(span.name.split()[0] for span in spans) == {"batch": 1, "shard": 1, "chat": 30}
    last = [ExportMetricsServiceRequest.FromString(body) for path, body in server.received if path == "/v1/metrics"][-1]
    (resource,) = last.resource_metrics
    service = {each.key: each.value.string_value for each in resource.resource.attributes}
    assert service["service.name"] == "pareta-pipelines"
    sums = {
        metric.name: sum(point.as_int for point in metric.sum.data_points)
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert sums["pareta.batch.spend"] == in_ledger(ledger).billed_micro_usd == sandbox.books().debited_micro_usd
