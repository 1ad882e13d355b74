"""Memory of a large batch: `python benchmarks/memory.py [--rows 100000]`.

Each way runs with few rows and with many rows, each time in a new process, against one fast service.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

from batch import PARTS
from client import PROJECT, service, table

FEW_ROWS = 100


def measure(how: str, rows: int, in_flight: int) -> list[str]:
    """Run one batch; return its duration and peak memory as table cells."""
    with service(20) as url, tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(PARTS / "contenders.py"), how, url, str(rows), str(in_flight), folder]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=True,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
        )
    one = json.loads(done.stdout.splitlines()[-1])
    return [how, f"{rows:,}", f"{one['answered']:,}", f"{one['wall_s']:.1f}", f"{one['peak_mib']:.0f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--ways", default="engine,flow")
    chosen = parser.parse_args()
    heads = ["way", "rows", "answered", "wall s", "peak MiB"]
    found = [measure(how, rows, chosen.in_flight) for how in chosen.ways.split(",") for rows in (FEW_ROWS, chosen.rows)]
    print(table(f"{chosen.in_flight} in flight, 20 ms of service time", heads, found), flush=True)


if __name__ == "__main__":
    main()
