"""Comparison of clients under load: `python benchmarks/client.py [--rounds 3] [--seconds 3] [--in-flight 16,64 …]`.

Each measurement runs in a new process, against a new service in another process. The clients alternate within a
round, and the table shows the median of the rounds. Official packages are installed once, each into a separate
environment. Compare ratios: absolute figures depend on the machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PARTS = Path(__file__).parent / "client_parts"
PROJECT = Path(__file__).parents[1]
KEPT_IN = PROJECT / ".pareta" / "benchmarks"
OURS, RECIPE, YARDSTICK = "pareta_client", "pareta", "raw aiohttp"
LEAN = "what the client needs"
PACKAGES = {
    RECIPE: "pareta==0.2.1",
    "openai": "openai==3.54.0",
    LEAN: "httpx==0.28.1 pydantic==2.14.3 aiohttp==3.14.5",
    "curator": "bespokelabs-curator==0.1.31",
    "inspect_ai": "inspect-ai==0.3.285 openai==3.54.0",
}
CLOCKED = "import time; start = time.perf_counter(); {}; print(1_000 * (time.perf_counter() - start))"
CONTENDERS = (OURS, YARDSTICK, "raw httpx", "openai", RECIPE)

Measured = dict[str, float]


def python_for(name: str) -> str:
    """Return the Python that has this client installed; create its environment on the first call."""
    if name not in PACKAGES:
        return sys.executable
    folder = KEPT_IN / PACKAGES[name]
    if not (folder / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(folder / "bin" / "pip"), "install", "-qq", *PACKAGES[name].split()], check=True)
        (folder / "installed").touch()
    return str(folder / "bin" / "python")


@contextmanager
def service(service_ms: float) -> Iterator[str]:
    """Run a service and yield its URL."""
    command = [sys.executable, str(PARTS / "service.py"), str(service_ms)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            yield f"http://127.0.0.1:{running.stdout.readline().strip()}"
        finally:
            running.terminate()


def measure(name: str, what: str, in_flight: int, service_ms: float, options: argparse.Namespace) -> Measured | None:
    """Measure one client once; return None if it failed."""
    periods = [str(options.warm_up), str(options.seconds)]
    with service(service_ms) as url:
        command = [python_for(name), str(PARTS / "contenders.py"), name, what, url, str(in_flight), *periods]
        environment = {**os.environ, "PYTHONPATH": str(PROJECT)} if name == OURS else None
        timeout_s = 120 + 10 * options.seconds
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=timeout_s, env=environment, check=True
            )
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
            print(f"{name} at {in_flight} in flight: {str(error.stderr)[-300:]}", file=sys.stderr)
            return None
        measured: Measured = json.loads(done.stdout)
        with urllib.request.urlopen(f"{url}/counters") as reply:
            measured["connections"] = float(reply.read())
    return measured


def medians(rounds: list[Measured | None]) -> Measured | None:
    """Return the median of each figure over the completed rounds."""
    completed = [measured for measured in rounds if measured is not None]
    return {name: statistics.median(one[name] for one in completed) for name in completed[0]} if completed else None


def table(title: str, heads: list[str], rows: list[list[str]]) -> str:
    """Format a Markdown table."""
    lines = [f"\n### {title}\n", f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def calls_table(in_flight: int, service_ms: float, options: argparse.Namespace) -> str:
    """Measure calls without streaming at one number in flight, and return a table."""
    found: dict[str, list[Measured | None]] = {name: [] for name in CONTENDERS}
    for _ in range(options.rounds):
        for name in CONTENDERS:
            found[name].append(measure(name, "calls", in_flight, service_ms, options))
    best = {name: medians(rounds) for name, rounds in found.items()}
    rows = [calls_row(name, best[name], best[RECIPE], best[YARDSTICK], in_flight, service_ms) for name in CONTENDERS]
    heads = [
        "client",
        "req/s",
        "× recipe",
        "of N·t/in flight",
        "CPU ms",
        "× aiohttp",
        "added p50 / p99 ms",
        "MiB",
        "conns",
    ]
    return table(f"{in_flight} in flight, {service_ms:g} ms of service time", heads, rows)


def calls_row(
    name: str,
    one: Measured | None,
    recipe: Measured | None,
    aiohttp: Measured | None,
    in_flight: int,
    service_ms: float,
) -> list[str]:
    """Format the figures of one client as table cells."""
    label = f"{name} ({PACKAGES[name]})" if name in PACKAGES else name
    if one is None:
        return [label, *["did not finish"] * 8]
    bound = in_flight / (service_ms / 1_000) if service_ms else 0.0
    return [
        label,
        f"{one['per_s']:,.0f}",
        f"{one['per_s'] / recipe['per_s']:.1f}" if recipe else "–",
        f"{one['per_s'] / bound:.0%}" if bound else "–",
        f"{one['cpu_ms']:.2f}",
        f"{one['cpu_ms'] / aiohttp['cpu_ms']:.2f}" if aiohttp else "–",
        f"{one['p50_ms'] - service_ms:.1f} / {one['p99_ms'] - service_ms:.1f}",
        f"{one['peak_mib']:.0f}",
        f"{one['connections']:.0f}",
    ]


def streams_table(in_flight: int, options: argparse.Namespace) -> str:
    """Measure the time to the first of 50 chunks, which are sent 5 ms apart."""
    rows = []
    found: dict[str, list[Measured | None]] = {name: [] for name in CONTENDERS}
    for _ in range(options.rounds):
        for name in CONTENDERS:
            found[name].append(measure(name, "streams", in_flight, 0, options))
    for name, rounds in found.items():
        one = medians(rounds)
        cells = [f"{one['p50_ms']:.1f}", f"{one['cpu_ms']:.2f}"] if one else ["did not finish", "–"]
        rows.append([f"{name} ({PACKAGES[name]})" if name in PACKAGES else name, *cells])
    return table(
        f"{in_flight} stream{'' if in_flight == 1 else 's'} at once",
        ["client", "first chunk after ms", "CPU ms a stream"],
        rows,
    )


def import_table(rounds: int) -> str:
    """Measure the import time in a new interpreter with compiled bytecode, as after an installation."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONPYCACHEPREFIX": str(KEPT_IN / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    rows = []
    for statement in ("import httpx", "import pareta_client", "from pareta_client import AsyncPareta"):
        row = [f"`{statement}`"]
        for python in (python_for(LEAN), sys.executable):
            command = [python, "-c", CLOCKED.format(statement)]
            times = [
                float(subprocess.run(command, check=True, env=environment, cwd="/", capture_output=True).stdout)
                for _ in range(1 + 5 * rounds)
            ]
            row.append(f"{min(times):.0f}")
        rows.append(row)
    return table(
        "Import", ["statement", "ms (best), only the client's own packages installed", "ms, in this project"], rows
    )


def numbers(text: str) -> list[int]:
    """Parse a comma-separated list of integers."""
    return [int(number) for number in text.split(",") if number]


def options_of(arguments: list[str] | None = None) -> Any:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--warm-up", type=float, default=2.0, help="seconds of the same load that are not measured")
    parser.add_argument("--in-flight", type=numbers, default=[16, 64, 256, 1_000])
    parser.add_argument("--service-ms", type=numbers, default=[0, 20, 200])
    parser.add_argument("--streams", type=numbers, default=[1, 64])
    return parser.parse_args(arguments)


def main() -> None:
    """Run all measurements and print them as Markdown."""
    options = options_of()
    print(import_table(options.rounds), flush=True)
    for in_flight in options.streams:
        print(streams_table(in_flight, options), flush=True)
    for service_ms in options.service_ms:
        for in_flight in options.in_flight:
            print(calls_table(in_flight, service_ms, options), flush=True)


if __name__ == "__main__":
    main()
