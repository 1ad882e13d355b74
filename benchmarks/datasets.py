"""CPU and memory of reading a dataset: `python benchmarks/datasets.py [--rows 1000000]`.

The same rows are read as a local Parquet file, as a folder on a local S3 server, and in the other formats. Each way
runs in a new process with few rows and with all rows; the server is another process.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from client import PROJECT, table

sys.path.insert(0, str(PROJECT))

from pareta_batch import Dataset
from tests.batch.object_store import BUCKET, SETTINGS, bucket_at, s3_server

FEW = 10
"""Ratio of all rows to few rows. Raising it shows a growth of memory more clearly."""
FILES = 4
ROW_GROUP = 100_000
TEXT = "My invoice number {} is wrong: it has the address of my former flat, and the amount of the month before. "


def rows_from(first: int, count: int) -> pa.Table:
    numbers = range(first, first + count)
    texts = [TEXT.format(n) + f"Reference {n * 2654435761 % 2**32:08x}." for n in numbers]
    return pa.table({"id": [f"r{n}" for n in numbers], "text": texts, "amount": [n / 7 for n in numbers]})


def write_parts(folder: Path, rows: int) -> Iterator[Path]:
    """Write the rows as Parquet files; yield their paths."""
    each = rows // FILES
    for part in range(FILES):
        path = folder / f"part-{part}.parquet"
        pq.write_table(rows_from(part * each, each), path, row_group_size=ROW_GROUP)
        yield path


def read(dataset: str) -> dict[str, float]:
    """Read every row of a dataset; return their number, seconds, CPU seconds and peak memory."""
    begin, cpu = time.monotonic(), time.process_time()
    rows = sum(1 for _ in Dataset.open(dataset).rows())
    return {
        "rows": rows,
        "wall_s": time.monotonic() - begin,
        "cpu_s": time.process_time() - cpu,
        "peak_mib": peak_mib(),
    }


def peak_mib() -> float:
    """Return the peak memory of this program; `ru_maxrss` would include the program that started it."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def measure(dataset: str, address: str, rounds: int) -> dict[str, float]:
    """Read a dataset in new processes; return the figures of the round with the least CPU."""
    command = [sys.executable, __file__, "--read", dataset]
    environment = {**os.environ, **SETTINGS, "AWS_ENDPOINT_URL": address}
    found = [
        json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)
        for _ in range(rounds)
    ]
    return min(found, key=lambda one: one["cpu_s"])


def datasets_in(folder: Path, rows: int, address: str) -> dict[str, str]:
    """Write the rows in every way; return the dataset of each."""
    name = folder.name
    store, parts = bucket_at(address), folder / "parts"
    parts.mkdir(parents=True)
    for path in write_parts(parts, rows):
        with store.open_output_stream(f"{BUCKET}/{name}/{path.name}") as file:
            file.write(path.read_bytes())
    whole = pa.concat_tables([pq.read_table(path) for path in sorted(parts.iterdir())])
    pq.write_table(whole, folder / "rows.parquet", row_group_size=ROW_GROUP)
    for suffix in ("jsonl", "csv", "json"):
        write_text(whole, folder / f"rows.{suffix}")
    return {
        "Parquet, one file": str(folder / "rows.parquet"),
        "Parquet, a folder": str(parts),
        "Parquet, a folder on S3": f"s3://{BUCKET}/{name}",
        **{suffix: str(folder / f"rows.{suffix}") for suffix in ("jsonl", "csv", "json")},
    }


def write_text(rows: pa.Table, path: Path) -> None:
    if path.suffix == ".csv":
        import pyarrow.csv

        pyarrow.csv.write_csv(rows, path)
        return
    lines = (json.dumps(row) for batch in rows.to_batches(1_000) for row in batch.to_pylist())
    with path.open("w") as file:
        if path.suffix == ".jsonl":
            file.writelines(line + "\n" for line in lines)
        else:
            file.write("[" + next(lines))
            file.writelines(",\n" + line for line in lines)
            file.write("]\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--read", metavar="DATASET", help="read one dataset, and print its figures as JSON")
    chosen = parser.parse_args()
    if chosen.read:
        print(json.dumps(read(chosen.read)))
        return
    lines: list[list[str]] = []
    with s3_server() as address, tempfile.TemporaryDirectory() as folder:
        few = datasets_in(Path(folder, "few"), chosen.rows // FEW, address)
        every = datasets_in(Path(folder, "all"), chosen.rows, address)
        least = None
        for way, dataset in every.items():
            small, large = (measure(each, address, chosen.rounds) for each in (few[way], dataset))
            least = least or large["cpu_s"]
            cells = [f"{large['rows']:,.0f}", f"{large['cpu_s']:.2f}", f"{large['cpu_s'] / least:.2f}"]
            lines.append(
                [way, *cells, f"{large['wall_s']:.1f}", f"{small['peak_mib']:.0f}", f"{large['peak_mib']:.0f}"]
            )
    heads = ["dataset", "rows", "CPU s", "× one file", "wall s", f"peak MiB, rows/{FEW}", "peak MiB"]
    print(table(f"{chosen.rows:,} rows", heads, lines))


if __name__ == "__main__":
    main()
