"""Memory of a batch of pictures: `python -m benchmarks.pictures [--pictures 500] [--megabytes 5]`.

Each run is a process of its own, against a sandbox in another one. The files are sparse, so that they need no disk.
"""

import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pareta_batch import Batch
from pareta_sandbox.testing import running

FEW_PICTURES = 32
"""Pictures of the small batch: more than are in flight or claimed, so that both batches hold as many in memory."""
PROGRAM = """
import asyncio, resource, sys
from pareta_batch import Batch, Ledger
from pareta_batch.run import run_batch
from pareta_client import AsyncPareta

batch = Batch.model_validate_json(sys.argv[1])
client = AsyncPareta(api_key=sys.argv[2], base_url=sys.argv[3])
report = asyncio.run(run_batch(batch, client, Ledger.open(sys.argv[4])))
print(report.settled, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def write_picture(path: Path, text: str, size: int) -> None:
    """Write a PNG with a text in its description and a chunk of zeros; chunk checksums are left out."""
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        described = b"Description\0\0\0\0\0" + text.encode()
        file.write(struct.pack(">I4s", len(described), b"iTXt") + described + bytes(4))
        file.write(struct.pack(">I4s", size, b"paRt"))
        file.seek(size, os.SEEK_CUR)
        file.write(bytes(4) + struct.pack(">I4s", 0, b"IEND") + bytes(4))


def batch_of(folder: Path, pictures: int, size: int) -> Batch:
    """Write pictures of different contents, and return their batch."""
    folder.mkdir()
    with (folder / "rows.jsonl").open("w") as rows:
        for number in range(pictures):
            write_picture(folder / f"{number}.png", f"My invoice number {number} is wrong.", size)
            rows.write(json.dumps({"id": number, "file": f"{number}.png"}) + "\n")
    return Batch(
        name="pictures",
        model="ep_seed_tickets",
        dataset=str(folder / "rows.jsonl"),
        id_column="id",
        prompt="Which team?",
        attachments=({"column": "file"},),
        output=str(folder / "answers.jsonl"),
    )


def measure(pictures: int, size: int) -> str:
    """Run one batch in a process of its own; return a table row of pictures, seconds and peak memory."""
    with tempfile.TemporaryDirectory() as folder, running() as sandbox:
        batch = batch_of(Path(folder) / "pictures", pictures, size)
        given = (batch.model_dump_json(), sandbox.api_key, sandbox.base_url, f"sqlite:///{folder}/ledger.db")
        began = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", PROGRAM, *given], capture_output=True, text=True, check=True)
        seconds = time.perf_counter() - began
    settled, peak_mib = done.stdout.split()
    return f"| {pictures} | {settled} | {size / 1e6:g} MB | {seconds:.1f} s | {peak_mib} MiB |"


def main() -> None:
    """Print the memory of a small and of a large batch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--megabytes", type=float, default=5.0)
    chosen = parser.parse_args()
    print("| pictures | answered | each | seconds | peak memory |\n|---:|---:|---:|---:|---:|")
    for pictures in (FEW_PICTURES, chosen.pictures):
        print(measure(pictures, int(chosen.megabytes * 1e6)))


if __name__ == "__main__":
    main()
