"""Log lines, spans and metrics of a flow run on a server, executed as in a container."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pareta_batch import Ledger, spending
from pareta_batch.json_log import CONSOLE_CLASS, LOG_FORMAT
from tests.batch.collectors import Collector, attributes_of, collector, spans_in, sums_in
from tests.end_to_end.conftest import House
from tests.end_to_end.processes import Processes, until
from tests.end_to_end.test_deployments import BATCH, batch, rows, state_of
from tests.end_to_end.test_own_folder import WATCH
from tests.end_to_end.test_report_links import COMPARISON


@pytest.mark.long
def test_a_flow_run_logs_json_and_exports_its_trace(house: House) -> None:
    found = house.prefect.deployment(BATCH)
    # No worker takes a run that is pending: the command below executes it, as containers of a work pool do.
    run = house.prefect.ask(
        "POST",
        f"/deployments/{found['id']}/create_flow_run",
        parameters={**found["parameters"], "batch": batch(house, "observed")},
        state={"type": "PENDING"},
    )
    with collector() as receiver:
        variables = {
            LOG_FORMAT: "json",
            CONSOLE_CLASS: "pareta_batch.json_log.JsonConsole",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{receiver.server_port}",
        }
        observed = Processes(house.processes.home, {**house.processes.environment, **variables})
        out = observed.run("prefect", "flow-run", "execute", run["id"], folder=house.folder, within_s=200)
    assert house.prefect.flow_run(run["id"])["state"]["name"] == "Completed"
    lines = [json.loads(line) for line in out.splitlines() if line.strip()]
    of_run = [line for line in lines if line.get("flow_run_id") == run["id"]]
    assert any("pull step" in line["message"] for line in of_run)
    (event,) = [line for line in of_run if line.get("event") == "pareta.batch.completed"]
    assert (event["batch"], event["fields"]["settled"]) == ("observed", rows(house))
    spans = spans_in(receiver.received)
    (whole,) = [span for span in spans if span.name == "batch observed"]
    assert {each.key: each.value.string_value for each in whole.attributes}["pareta.flow_run_id"] == run["id"]
    assert sum(span.name.startswith("chat") for span in spans) == rows(house)


@pytest.mark.long
def test_a_watch_and_a_comparison_of_a_worker_export_spans_and_the_money_of_the_ledger(house: House) -> None:
    # Rows of its own: equal eval runs are bought once, and cost the second buyer nothing.
    rows_file = house.folder / "examples/traced-eval.jsonl"
    shutil.copyfile(house.folder / "examples/tickets-eval.jsonl", rows_file)
    with rows_file.open("a") as file:
        file.write(json.dumps({"input": "Which team traces this ticket?", "expected": "technical"}) + "\n")
    before = house.pareta.books().debited_micro_usd
    with collector() as receiver:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{receiver.server_port}"}
        watched, compared = [traced_run(house, name, rows_file, variables) for name in (WATCH, COMPARISON)]
        # The process of a completed run sends the rest when it ends.
        until(lambda: len(purchases(receiver)) == 2 or None, within_s=300, what="the bills of both runs")
        names = ("watch traced", "comparison tickets")
        watch, comparison = until(lambda: spans_named(receiver, *names), within_s=300, what="the spans of both runs")
    assert (watch["pareta.flow_run_id"], comparison["pareta.flow_run_id"]) == (watched, compared)
    assert (watch["pareta.drifted"], watch["pareta.team"], comparison["pareta.team"]) == (False, "support", "support")
    money = purchases(receiver)
    ledger = Ledger.open(house.processes.environment["PARETA_LEDGER_URL"])
    bills = {"watch/traced": watch, "compare/traced": comparison}
    assert money == {account: spending(ledger, account).micro_usd for account in bills}
    ledger.close()
    assert money == {account: span["pareta.billed_micro_usd"] for account, span in bills.items()}
    assert sum(money.values()) == house.pareta.books().debited_micro_usd - before > 0


def purchases(receiver: Collector) -> dict[str, int]:
    return sums_in(receiver.received, "pareta.purchase.spend", "pareta.account")


def spans_named(receiver: Collector, *names: str) -> list[dict[str, Any]] | None:
    """Return the attributes of a span of each name, once all have been received."""
    spans = {span.name: attributes_of(span) for span in spans_in(receiver.received)}
    return [spans[name] for name in names] if spans.keys() >= set(names) else None


def traced_run(house: House, deployment: str, rows_file: Path, variables: dict[str, str]) -> str:
    """Run a deployment on the worker with other rows and an owner; return the id of the completed run."""
    ((name, own),) = house.prefect.deployment(deployment)["parameters"].items()
    spec = {**own, "name": "traced", "tags": {"team": "support"}}
    if name == "watch":
        spec["comparison"] = {**spec["comparison"], "rows": str(rows_file)}
    else:
        spec["comparisons"] = [{**each, "rows": str(rows_file)} for each in spec["comparisons"]]
    run = house.prefect.run(deployment, environment=variables, **{name: spec})
    ended = house.prefect.ended(run["id"], within_s=300)
    assert state_of(ended) == ("COMPLETED", "Completed"), ended["state"]
    return str(run["id"])


WORKER = """
import logging, os
import prefect
from prefect.plugins import load_prefect_collections
load_prefect_collections()  # as a worker does when it starts
prefect.get_client  # loads Prefect
logging.getLogger("prefect.workers.process").warning("two\\nlines")
print(os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_CLASS"])
"""


@pytest.mark.long
def test_a_worker_logs_json_from_its_start_and_its_flow_runs_inherit_it(tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", "PREFECT_HOME": str(tmp_path), LOG_FORMAT: "json"}
    ran = subprocess.run(
        [sys.executable, "-c", WORKER], env=environment, capture_output=True, text=True, timeout=100, check=True
    )
    assert ran.stdout.strip() == "pareta_batch.json_log.JsonConsole"
    (line,) = map(json.loads, ran.stderr.splitlines())
    assert (line["logger"], line["message"], line["level"]) == ("prefect.workers.process", "two\nlines", "WARNING")
