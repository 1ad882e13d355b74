"""The benchmark of a large ledger at a small size: what it measures is done, and nothing is written twice."""

import subprocess
import sys
from pathlib import Path

from tests.batch.batches import mostly_on_sqlite

ROOT = Path(__file__).parents[2]


@mostly_on_sqlite
def test_the_benchmark_of_a_large_ledger_registers_settles_and_counts(ledger_url: str) -> None:
    command = [sys.executable, "-m", "benchmarks.ledger_scale", "--rows", "1200", "--store", ledger_url]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert "1,200 rows" in done.stdout
    assert "registering again wrote 0 of them" in done.stdout
    steps = [
        "register",
        "register again",
        "count all shards again",
        "open",
        "count the missing",
        "tally",
        "write the parts",
    ]
    assert [line.split("|")[1].strip() for line in done.stdout.splitlines()[5:]] == steps
