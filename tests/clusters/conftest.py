"""Ray and Dask on this machine, in an environment of their own (`.ci/clusters`); elsewhere the tests are skipped."""

import os
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from pareta_batch.ledger.ledger import Ledger
from pareta_batch.members import Member
from pareta_batch.report import BatchReport
from pareta_batch.run import run_with_members
from pareta_batch.runners.job import ClusterClient, MemberJob
from pareta_batch.spec import Batch
from pareta_sandbox.pytest_plugin import sandbox, sandbox_factory  # noqa: F401
from pareta_sandbox.testing import Sandbox
from tests.batch import postgres
from tests.batch.batches import batch_in, until

ROWS, IN_FLIGHT = 400, 12
Runner = Callable[[Sequence[MemberJob], str | None], Awaitable[None]]


@pytest.fixture(scope="session")
def database() -> Iterator[postgres.Server]:
    with postgres.server() as server:
        yield server


@pytest.fixture
def ledger(database: postgres.Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """Yield a ledger on PostgreSQL, which is also that of the environment."""
    with database.database() as url:
        monkeypatch.setenv("PARETA_LEDGER_URL", url)
        opened = Ledger.open(url)
        yield opened
        opened.close()


@pytest.fixture
def service(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:  # noqa: F811
    """Return a slow service, whose key is in the environment of the processes that are started."""
    monkeypatch.setenv("PARETA_API_KEY", sandbox.api_key)
    monkeypatch.setenv("PARETA_BASE_URL", sandbox.base_url)
    sandbox.change(latency_ms=100)
    return sandbox


def batch_of(folder: Path, runner: str) -> Batch:
    return batch_in(folder, ROWS, runner=runner, processes=3, max_in_flight=IN_FLIGHT)


async def run_on(runner: Runner, cluster: str | None, batch: Batch, service: Sandbox, ledger: Ledger) -> BatchReport:
    """Run a batch with its members on a cluster."""

    async def start(members: Sequence[Member]) -> None:
        client = ClusterClient(service.base_url)
        await runner([MemberJob(batch, member, ledger.url, client) for member in members], cluster)

    return await run_with_members(batch, ledger, batch.processes, start)


def ray_processes(title: str) -> list[int]:
    """Return the ids of the processes below this process whose command line has a title of Ray."""
    psutil = pytest.importorskip("psutil")
    found = []
    for each in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it ended meanwhile, or it is a zombie
            if title in " ".join(each.cmdline()):
                found.append(each.pid)
    return found


async def killed_while_it_sends(service: Sandbox, processes: Callable[[], Sequence[int]]) -> None:
    """Kill one of the processes once the batch has sent a part of its rows."""
    before = service.books().completions
    await until(lambda: service.books().completions >= before + 60, within_s=120)
    os.kill(processes()[0], signal.SIGKILL)


def all_settled_once(report: BatchReport, service: Sandbox) -> None:
    assert (report.settled, report.pending, report.stopped) == (ROWS, 0, None)
    service.completed(ROWS)
    service.debited_once()
    service.never_more_in_flight_than(IN_FLIGHT)
