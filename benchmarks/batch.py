"""Batches side by side: `python benchmarks/batch.py [--rows 2000] [--in-flight 32,256] [--rounds 2] …`.

Each measurement is a process of its own, against a fresh service in another one; the ways take turns within each
round, and the median of the rounds is shown. The official SDK, and the tools of others that `--ways curator,inspect_ai`
adds, are installed into environments of their own, once (curator is 600 MB).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from client import PROJECT, Measured, medians, python_for, service, table

PARTS = Path(__file__).parent / "batch_parts"
WAYS = ("client", "engine", "flow", "prefect .map", "recipe")
OTHERS = ("curator", "inspect_ai")
PACKAGED = {"recipe": "pareta", **{how: how for how in OTHERS}}
"""The ways that are done with packages of others, which have an environment of their own."""
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


def measure(how: str, rows: int, in_flight: int, service_ms: float) -> Measured | None:
    """Do one batch one way; None if it did not get through."""
    with service(service_ms) as url, tempfile.TemporaryDirectory() as folder:
        python = python_for(PACKAGED[how]) if how in PACKAGED else sys.executable
        environment = dict(os.environ) if how in PACKAGED else {**os.environ, "PYTHONPATH": str(PROJECT)}
        command = [python, str(PARTS / "contenders.py"), how, url, str(rows), str(in_flight), folder]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=600, env=environment, check=True, cwd=folder
            )
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
            print(f"{how} at {in_flight} in flight: {str(error.stderr)[-500:]}", file=sys.stderr)
            return None
        measured: Measured = json.loads(done.stdout.splitlines()[-1])
        return measured


def compare(in_flight: int, options: argparse.Namespace) -> str:
    """Measure every way at one load."""
    ways = options.ways.split(",")
    rounds = [
        (how, measure(how, options.rows, in_flight, options.service_ms)) for _ in range(options.rounds) for how in ways
    ]
    ideal_s = options.rows * options.service_ms / 1000 / in_flight
    lines = []
    for how in ways:
        one = medians([measured for name, measured in rounds if name == how])
        lines.append([how, *(figures(one, options.rows, ideal_s) if one else ["–"] * (len(HEADS) - 1))])
    title = (
        f"{options.rows} rows, {in_flight} in flight, {options.service_ms:g} ms of service time: ideal {ideal_s:.2f} s"
    )
    return table(title, HEADS, lines)


def figures(one: Measured, rows: int, ideal_s: float) -> list[str]:
    """Format what was measured of one way."""
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
    parser.add_argument("--ways", default=",".join(WAYS), help=f"also: {', '.join(OTHERS)}")
    options = parser.parse_args()
    for in_flight in map(int, options.in_flight.split(",")):
        print(compare(in_flight, options), flush=True)


if __name__ == "__main__":
    main()
