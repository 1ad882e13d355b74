"""Throughput and CPU per row of a batch with 1, 2 and 4 members, at the same total in flight."""

import asyncio
import json
import resource
import sys
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import mkdtemp

from benchmarks.client import service
from benchmarks.ledger_scale import server_cpu_s
from benchmarks.scale_parts.result import Result
from pareta_batch import Batch, KeyClient, Ledger, Member, MemberJob, run_on_this_machine, run_with_members
from tests.batch.batches import batch_in, numbered
from tests.batch.postgres import Server

MEMBERS = (1, 2, 4)
SERVICE_MS = 100.0
FEW_ROWS = 1_000
"""Rows of the run whose CPU counts as start-up; of fewer, the first member sends all before the others have begun."""
LEAST_THROUGHPUT = 0.95
MOST_CPU = 1.3


@dataclass(frozen=True)
class Figures:
    """Seconds from the first request to the last answer, and CPU seconds of the members, the parent and the server."""

    work_s: float
    members_s: float
    parent_s: float
    server_s: float


def measure(members: int, rows: int, in_flight: int, folder: Path, server: Server) -> Figures:
    """Run one batch with members on this machine, on a database of its own."""
    with service(SERVICE_MS) as url, server.database() as database:
        batch = batch_in(Path(mkdtemp(dir=folder)), numbered(rows), max_in_flight=in_flight)
        ledger = Ledger.open(database)
        before = _cpu_s(server)
        report = asyncio.run(run_with_members(batch, ledger, members, lambda every: _start(batch, ledger, url, every)))
        ledger.close()
        spent = [after - start for after, start in zip(_cpu_s(server), before, strict=True)]
        with urllib.request.urlopen(f"{url}/times") as reply:
            first, last, requests = json.loads(reply.read())
    assert (report.status, report.settled, requests) == ("completed", rows, rows), report
    return Figures(last - first, *spent)


async def _start(batch: Batch, ledger: Ledger, url: str, members: Sequence[Member]) -> None:
    client = KeyClient("pareta_sk_x", url)
    await run_on_this_machine([MemberJob(batch, member, ledger.url, client) for member in members])


def _cpu_s(server: Server) -> tuple[float, float, float]:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime, time.process_time(), server_cpu_s(server.process)


@dataclass(frozen=True)
class Speed:
    """Rows per second, and CPU milliseconds per row of the members, the parent and the server beyond their start."""

    per_s: float
    members_ms: float
    parent_ms: float
    server_ms: float
    start_s: float

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds per row of all processes."""
        return self.members_ms + self.parent_ms + self.server_ms


def speed(members: int, rows: int, in_flight: int, folder: Path, server: Server) -> Speed:
    """Measure a batch of few rows, whose CPU counts as start-up, and one of many."""
    few_rows = min(FEW_ROWS, rows // 2)
    few = measure(members, few_rows, in_flight, folder, server)
    many = measure(members, rows, in_flight, folder, server)
    cpu = [
        1000 * (getattr(many, name) - getattr(few, name)) / (rows - few_rows)
        for name in ("members_s", "parent_s", "server_s")
    ]
    return Speed(rows / many.work_s, *cpu, few.members_s)


def compare(rows: int, in_flight: int, rounds: int, folder: Path, server: Server) -> list[Result]:
    """Return the medians over the rounds of throughput and CPU of each number of members, relative to one member."""
    found: dict[int, list[Speed]] = {members: [] for members in MEMBERS}
    for _ in range(rounds):
        for members in MEMBERS:
            found[members].append(speed(members, rows, in_flight, folder, server))
            print(f"{members} members: {found[members][-1]}", file=sys.stderr, flush=True)
    return [_result(members, speeds, found[1], rows, in_flight) for members, speeds in found.items()]


def _result(members: int, speeds: Sequence[Speed], of_one: Sequence[Speed], rows: int, in_flight: int) -> Result:
    per_s = median(each.per_s for each in speeds)
    throughput = per_s / median(each.per_s for each in of_one)
    cpu_ms = median(each.cpu_ms for each in speeds)
    ratios = sorted(each.cpu_ms / one.cpu_ms for each, one in zip(speeds, of_one, strict=True))
    ratio = median(ratios)
    parts = [median(getattr(each, name) for each in speeds) for name in ("members_ms", "parent_ms", "server_ms")]
    return Result(
        f"{rows:,} rows, {members} members, {in_flight} in flight",
        f"{per_s:.0f} rows/s ({throughput:.2f} ×, {per_s * SERVICE_MS / 1000 / in_flight:.0%} of the bound); "
        f"CPU {cpu_ms:.2f} ms a row ({ratio:.2f} ×, {ratios[0]:.2f} to {ratios[-1]:.2f} by round): members "
        f"{parts[0]:.2f}, parent {parts[1]:.2f}, PostgreSQL {parts[2]:.2f}; "
        f"start-up {median(each.start_s for each in speeds):.1f} s of CPU",
        f"throughput ≥ {LEAST_THROUGHPUT} ×, CPU ≤ {MOST_CPU} × of 1 member",
        throughput >= LEAST_THROUGHPUT and ratio <= MOST_CPU,
    )
