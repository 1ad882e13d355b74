"""Log lines, spans and metrics of a flow run on a server, executed as in a container."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pareta_batch.json_log import CONSOLE_CLASS, LOG_FORMAT
from tests.batch.collectors import collector, spans_in
from tests.end_to_end.conftest import House
from tests.end_to_end.processes import Processes
from tests.end_to_end.test_deployments import BATCH, batch, rows


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
