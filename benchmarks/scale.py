"""Several members on one batch: `python -m benchmarks.scale [--rows 20000] [--in-flight 64] [--phase-s 6]`.

Runs on a PostgreSQL server of its own, which does not sync to disk. Throughput is measured with members as processes of
this machine against one fast service. The other scenarios have a tenth of the rows, and at least 600: kills, an empty
balance, a ceiling, and a limit that moves. Compare ratios: absolute figures depend on the machine.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.client import table
from benchmarks.scale_parts import faults, throughput
from benchmarks.scale_parts.result import Result
from tests.batch import postgres


def results(chosen: argparse.Namespace, server: postgres.Server) -> Iterator[Result]:
    """Measure all scenarios."""
    few = max(600, chosen.rows // 10)

    def folder() -> Path:
        return Path(tempfile.mkdtemp(dir=chosen.folder))

    if chosen.only != "faults":
        yield from throughput.compare(chosen.rows, chosen.in_flight, chosen.rounds, folder(), server)
    if chosen.only != "throughput":
        for scenario in (faults.kill_member, faults.kill_parent, faults.empty_balance, faults.ceiling):
            yield asyncio.run(scenario(few, folder(), server))
        yield asyncio.run(faults.moving_limit(chosen.phase_s, folder(), server))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3, help="measurements of throughput, of which the medians count")
    parser.add_argument("--phase-s", type=float, default=6.0, help="seconds at each limit")
    parser.add_argument("--only", choices=("throughput", "faults"))
    chosen = parser.parse_args()
    found = []
    with postgres.server() as server, tempfile.TemporaryDirectory() as chosen.folder:
        for result in results(chosen, server):
            print(" | ".join(result.cells), file=sys.stderr, flush=True)
            found.append(result.cells)
    print(table(f"{chosen.rows:,} rows", ["scenario", "measured", "goal", "met"], found))


if __name__ == "__main__":
    main()
