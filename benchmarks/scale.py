"""Memory of a large batch, and opening time of a large ledger: `python benchmarks/scale.py [--rows 100000]`.

Each way runs with few rows and with many rows, each time in a new process, against one fast service. The ledger has
a million rows; nearly all are settled, and the benchmark finds the missing ones.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import sqlalchemy as sa
from batch import PARTS
from client import PROJECT, service, table

from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.schema import rows as rows_table
from pareta_batch.rows.requests import RowRequest

FEW_ROWS = 100
MISSING_EVERY_ROWS = 10_000


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


def large_ledger(rows: int) -> str:
    """Create a ledger of `rows` rows, one in MISSING_EVERY_ROWS missing, and time the queries after a reopening."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/ledger.db"
        ledger = Ledger.open(url)
        ledger.register_rows("large", requests(rows))
        answered = rows_table.c.position % MISSING_EVERY_ROWS != 0
        values = {
            "state": "settled",
            "attempts": 1,
            "answer": "billing",
            "messages": sa.null(),
            "updated_at": datetime.now(),
        }
        with ledger.transaction() as db:
            db.execute(rows_table.update().where(answered).values(**values, billed_micro_usd=5, prompt_tokens=20))
        ledger.close()
        steps = [time.monotonic()]
        ledger = Ledger.open(url)
        steps.append(time.monotonic())
        shards = ledger.missing_shards("large", 100)
        steps.append(time.monotonic())
        found = sum(1 for shard in shards for _ in ledger.missing("large", shard, 100))
        steps.append(time.monotonic())
        ledger.tally("large")
        steps.append(time.monotonic())
        assert found == -(-rows // MISSING_EVERY_ROWS)
        took = [f"{1000 * (later - earlier):,.0f}" for earlier, later in pairwise(steps)]
        size = (Path(folder) / "ledger.db").stat().st_size / 2**20
        return table(
            f"A ledger of {rows:,} rows, {found} of them missing ({size:,.0f} MiB)",
            ["open ms", "count the missing ms", "read them ms", "add up the money ms"],
            [took],
        )


def requests(rows: int) -> Iterator[RowRequest]:
    for n in range(rows):
        yield RowRequest(n, f"row-{n}", f"{n:064x}", ({"role": "user", "content": "Which team? My invoice is wrong."},))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--ledger-rows", type=int, default=1_000_000)
    parser.add_argument("--ways", default="engine,flow")
    chosen = parser.parse_args()
    heads = ["way", "rows", "answered", "wall s", "peak MiB"]
    found = [measure(how, rows, chosen.in_flight) for how in chosen.ways.split(",") for rows in (FEW_ROWS, chosen.rows)]
    print(table(f"{chosen.in_flight} in flight, 20 ms of service time", heads, found), flush=True)
    print(large_ledger(chosen.ledger_rows))


if __name__ == "__main__":
    main()
