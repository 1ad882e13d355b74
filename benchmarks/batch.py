"""Comparison of ways to run a batch: `python benchmarks/batch.py [--rows 2000] [--in-flight 32,256] [--rounds 2] …`.

Each measurement runs in a new process, against a new service in another process. The ways alternate within a round,
and the table shows the median of the rounds. The official SDK and the third-party tools of
`--ways curator,inspect_ai` are installed once, each into a separate environment (curator: 600 MB). The way
`engine+copies` has ten rows of each text. With `--against CHECKOUT` our ways also run with the code of another
checkout, in the same rounds, and a second table has the ratios.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from client import PROJECT, Measured, medians, python_for, service, table

PARTS = Path(__file__).parent / "batch_parts"
WAYS = ("client", "engine", "flow", "prefect .map", "recipe")
THIRD_PARTY = ("curator", "inspect_ai")
PACKAGED = {"recipe": "pareta", **{how: how for how in THIRD_PARTY}}
"""Package of each way that runs in a separate environment."""
OURS = ("client", "engine", "engine+copies", "flow")
RATIO_HEADS = ["way", "wall_s", "work_s", "cpu_s", "peak_mib", "requests"]
HEADS = [
    "way",
    "start-up s",
    "before s",
    "work s",
    "of ideal",
    "after s",
    "CPU ms a row",
    "server CPU s",
    "peak MiB",
    "answered",
]


@dataclass(frozen=True)
class Way:
    """A way to run a batch, with the code of one checkout."""

    how: str
    checkout: Path = PROJECT

    @property
    def name(self) -> str:
        return self.how if self.checkout == PROJECT else f"{self.how}, before"


def measure(way: Way, rows: int, in_flight: int, service_ms: float) -> Measured | None:
    """Run one batch in one way; return its figures, or None if it failed."""
    with service(service_ms) as url, tempfile.TemporaryDirectory() as folder:
        packaged = way.how in PACKAGED
        python = python_for(PACKAGED[way.how]) if packaged else sys.executable
        environment = dict(os.environ) if packaged else {**os.environ, "PYTHONPATH": str(way.checkout)}
        command = [python, str(PARTS / "contenders.py"), way.how, url, str(rows), str(in_flight), folder]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=600, env=environment, check=True, cwd=folder
            )
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
            print(f"{way.name} at {in_flight} in flight: {str(error.stderr)[-500:]}", file=sys.stderr)
            return None
        measured: Measured = json.loads(done.stdout.splitlines()[-1])
        return measured


def compare(in_flight: int, options: argparse.Namespace) -> str:
    """Measure every way at one number of calls in flight, and return a table, and one of ratios with `--against`."""
    asked = options.ways.split(",")
    earlier = [Way(how, options.against) for how in asked if options.against and how in OURS]
    ways = sorted([*map(Way, asked), *earlier], key=lambda way: asked.index(way.how))
    rounds = [
        (way, measure(way, options.rows, in_flight, options.service_ms)) for _ in range(options.rounds) for way in ways
    ]
    found = {way: medians([measured for each, measured in rounds if each == way]) for way in ways}
    ideal_s = options.rows * options.service_ms / 1000 / in_flight
    lines = [
        [way.name, *(figures(one, options.rows, ideal_s) if one else ["–"] * (len(HEADS) - 1))]
        for way, one in found.items()
    ]
    title = (
        f"{options.rows} rows, {in_flight} in flight, {options.service_ms:g} ms of service time: ideal {ideal_s:.2f} s"
    )
    pairs = [(way.how, one, found.get(Way(way.how))) for way, one in found.items() if way in earlier]
    return table(title, HEADS, lines) + ("\n" + table("After / before", RATIO_HEADS, ratios(pairs)) if pairs else "")


def ratios(pairs: Iterable[tuple[str, Measured | None, Measured | None]]) -> list[list[str]]:
    """Format the figures after a change relative to those before it."""
    return [
        [how, *(f"{after[name] / before[name]:.2f}" for name in RATIO_HEADS[1:])]
        for how, before, after in pairs
        if before and after
    ]


def figures(one: Measured, rows: int, ideal_s: float) -> list[str]:
    """Format the figures of one way as table cells."""
    return [
        f"{one['start_up_s']:.1f}",
        f"{one['before_s']:.2f}",
        f"{one['work_s']:.2f}",
        f"{one['work_s'] / ideal_s:.2f} ×",
        f"{one['after_s']:.2f}",
        f"{1000 * one['cpu_s'] / rows:.2f}",
        f"{one['server_cpu_s']:.1f}",
        f"{one['peak_mib']:.0f}",
        f"{one['answered']:.0f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--in-flight", default="32,256")
    parser.add_argument("--service-ms", type=float, default=100.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--ways", default=",".join(WAYS), help=f"also: {', '.join(THIRD_PARTY)}")
    parser.add_argument("--against", type=Path, help="another checkout, to measure our ways with its code too")
    options = parser.parse_args()
    for in_flight in map(int, options.in_flight.split(",")):
        print(compare(in_flight, options), flush=True)


if __name__ == "__main__":
    main()
