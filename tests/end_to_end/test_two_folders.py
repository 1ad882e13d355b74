"""Two workers of one pool in two folders, with Prefect on PostgreSQL: what they must share is checked at start."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pareta_sandbox.testing import Sandbox, attach
from tests.batch import postgres
from tests.end_to_end.conftest import KEY, PROJECT, _project_in
from tests.end_to_end.prefect_api import PrefectApi
from tests.end_to_end.processes import Processes, kill, processes, until
from tests.end_to_end.test_deployments import BATCH, state_of
from tests.ports import free_port

pytestmark = pytest.mark.long

PULL = "\npull:\n  - prefect.deployments.steps.set_working_directory:\n      directory: '{{ $WORK_FOLDER }}'\n"
"""Each worker runs the deployments in its own folder."""


@dataclass(frozen=True)
class Workers:
    """A Prefect server on PostgreSQL, a service, a database for ledgers, and two folders with the project."""

    prefect: PrefectApi
    pareta: Sandbox
    common: dict[str, str]
    ledger: str
    folders: tuple[Path, Path]

    @contextmanager
    def worker(self, folder: Path, **environment: str) -> Iterator[int]:
        """Run a worker in a folder while the body runs; its environment decides which ledger and key it uses."""
        own = {"WORK_FOLDER": str(folder), "PARETA_API_KEY": KEY, **environment}
        with processes(folder, **self.common, **own) as started:
            yield started.start("worker", "prefect", "worker", "start", "--pool", "pareta", folder=folder)

    def run(self, name: str, **fields: Any) -> dict[str, Any]:
        """Run a batch of this name to its end."""
        own: dict[str, Any] = self.prefect.deployment(BATCH)["parameters"]["batch"]
        started = self.prefect.run(BATCH, batch={**own, "name": name, **fields})
        return self.prefect.ended(started["id"])


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    home = tmp_path_factory.mktemp("workers")
    first = _project_in(home)
    with (first / "prefect.yaml").open("a") as file:
        file.write(PULL)
    second = home / "second"
    shutil.copytree(first, second)
    prefect_port, pareta_port = free_port(), free_port()
    with postgres.server() as database, database.database() as own, database.database() as ledger:
        common = {
            "PREFECT_HOME": str(home / "prefect"),
            "PREFECT_PROFILES_PATH": str(home / "prefect" / "profiles.toml"),
            "PREFECT_API_URL": f"http://127.0.0.1:{prefect_port}/api",
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": own.replace("postgresql://", "postgresql+asyncpg://"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_UI_ENABLED": "false",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PARETA_BASE_URL": f"http://127.0.0.1:{pareta_port}",
            "MPLCONFIGDIR": str(home / "matplotlib"),
        }
        with processes(home, **common) as started:
            prefect = _servers(started, prefect_port, pareta_port, first)
            started.run("pareta-pipeline", "set-up", folder=first)
            pareta = attach(common["PARETA_BASE_URL"], KEY)
            yield Workers(prefect, pareta, common, ledger, (first, second))
            prefect.close()


def _servers(started: Processes, prefect_port: int, pareta_port: int, folder: Path) -> PrefectApi:
    options = ("--port", str(pareta_port), "--latency-ms", "5")
    started.start("sandbox", "python", "-m", "pareta_sandbox", *options, folder=PROJECT)
    started.start("server", "prefect", "server", "start", "--port", str(prefect_port), folder=folder)
    prefect = PrefectApi(f"http://127.0.0.1:{prefect_port}/api")
    until(prefect.healthy, within_s=300, what=f"a Prefect server; see {started.log('server')}")
    return prefect


def test_a_worker_with_another_ledger_is_refused_before_anything_is_sent(workers: Workers) -> None:
    one, two = workers.folders
    with workers.worker(one):
        assert state_of(workers.run("own-ledgers")) == ("COMPLETED", "Completed")
    sent = workers.pareta.books().completions
    with workers.worker(two):
        refused = workers.run("own-ledgers")
    assert state_of(refused) == ("FAILED", "LedgerDiffers")
    for words in (f"{two}/.pareta/ledger.db", f"{one}/.pareta/ledger.db", "PostgreSQL"):
        assert words in refused["state"]["message"]
    assert workers.pareta.books().completions == sent


def test_workers_with_one_ledger_continue_each_others_batch_and_other_data_is_reported(workers: Workers) -> None:
    one, two = workers.folders
    with workers.worker(one, PARETA_LEDGER_URL=workers.ledger):
        assert state_of(workers.run("one-ledger")) == ("COMPLETED", "Completed")
    sent = workers.pareta.books().completions
    with (two / "examples/tickets.csv").open("a") as file:
        file.write("t-999,One more ticket,billing\n")
    with workers.worker(two, PARETA_LEDGER_URL=workers.ledger, PARETA_API_KEY=f"{KEY}_2"):
        run = workers.run("one-ledger")
        # Before the worker is killed: its run sends its last log lines after its end.
        wanted = ("'examples/tickets.csv': in ", "API key of", "1 to send")

        def told() -> bool:
            log = workers.prefect.log_of(run["id"])
            return all(words in log for words in wanted)

        until(lambda: told() or None, within_s=30, what=f"{wanted} in the log")
    assert state_of(run) == ("COMPLETED", "Completed")
    assert workers.pareta.books().completions <= sent + 1
    workers.pareta.debited_once()


def members_of(workers: Workers, run: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Wait until a run has this number of running members, and return their runs."""

    def look() -> list[dict[str, Any]] | None:
        found = [each for each in workers.prefect.runs_below(run["id"]) if each["name"].startswith("member ")]
        return found if len(found) == count and all(each["state_type"] == "RUNNING" for each in found) else None

    return until(look, within_s=300, what=f"{count} running members")


def start(workers: Workers, name: str, rows: int) -> dict[str, Any]:
    """Start a batch with two members in the pool."""
    dataset = workers.folders[0] / f"{name}.csv"
    dataset.write_text("id,ticket\n" + "".join(f"{n},{name} {n}\n" for n in range(rows)))
    own: dict[str, Any] = workers.prefect.deployment(BATCH)["parameters"]["batch"]
    changes = {"name": name, "dataset": str(dataset), "runner": "pool", "processes": 2}
    # A member that is killed while it is alone has all slots: they stay withheld for the time limit of its calls.
    return workers.prefect.run(BATCH, batch={**own, **changes, "max_in_flight": 8, "timeout_s": 30})


def test_members_are_runs_of_a_pool_and_a_killed_one_leaves_its_rows_to_the_other(workers: Workers) -> None:
    workers.pareta.change(latency_ms=100)
    before = workers.pareta.books().completions
    with workers.worker(workers.folders[0], PARETA_LEDGER_URL=workers.ledger):
        run = start(workers, "pool-killed", 600)
        first, _ = members_of(workers, run, 2)
        until(lambda: workers.pareta.books().completions > before + 40 or None, within_s=300, what="a batch that sends")
        kill(workers.prefect.process_of(first["id"]) or 0)
        ended = workers.prefect.ended(run["id"])
    assert state_of(ended) == ("COMPLETED", "Completed")
    assert "600 of 600 rows settled" in ended["state"]["message"]
    assert workers.pareta.books().completions == before + 600
    workers.pareta.debited_once()
    assert KEY not in str(workers.prefect.flow_run(first["id"])["parameters"])


def test_a_cancelled_run_ends_its_members(workers: Workers) -> None:
    workers.pareta.change(latency_ms=100)
    before = workers.pareta.books().completions
    with workers.worker(workers.folders[0], PARETA_LEDGER_URL=workers.ledger):
        run = start(workers, "pool-cancelled", 2000)
        members = members_of(workers, run, 2)
        until(lambda: workers.pareta.books().completions > before + 20 or None, within_s=300, what="a batch that sends")
        workers.prefect.set_state(run["id"], "CANCELLING")
        assert workers.prefect.ended(run["id"])["state"]["type"] == "CANCELLED"
        for each in members:
            assert workers.prefect.ended(each["id"])["state"]["type"] in ("COMPLETED", "FAILED", "CANCELLED")
        sent = workers.pareta.books()
        assert sent.in_flight == 0
        assert sent.completions < before + 2000
    workers.pareta.debited_once()


def test_a_member_with_another_ledger_is_refused(workers: Workers) -> None:
    member = {"run": "0" * 32, "number": 0}
    own: dict[str, Any] = workers.prefect.deployment(BATCH)["parameters"]["batch"]
    with workers.worker(workers.folders[1]):
        run = workers.prefect.run("work-on-batch/batch-member", batch=own, member=member, ledger="f" * 32)
        ended = workers.prefect.ended(run["id"])
    assert state_of(ended) == ("FAILED", "LedgerDiffers")
    assert "set one PARETA_LEDGER_URL for all workers" in ended["state"]["message"]
