"""The engine against services that allow so much without telling: `python benchmarks/pressure.py [--only TEXT]`.

64 calls allowed in flight, a sandbox of 100 ms in a process of its own, which refuses the rest with 429. Its books
tell: completions a second after the first ten seconds against what is allowed, refused requests as a share of the
answered, rows that failed. "whole" counts from the first completion, with all that had to be learned.
"""

import argparse
import asyncio
import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from client import table

from pareta_batch.ledger.ledger import Ledger
from pareta_batch.run import run_batch
from pareta_batch.spec import Batch, Sampling
from pareta_client import AsyncPareta
from pareta_sandbox.testing import RateLimit, Sandbox, Status, attach

LEARNING_S = 10.0
LATENCY_S = 0.1
HEADS = ["service allows", "Retry-After", "completions/s", "of what is allowed", "whole", "wasted", "failed rows"]


def limits() -> "list[tuple[str, float, RateLimit]]":
    """Give each limit with its name and the completions a second that it allows."""
    told = ("seconds", "fractional", "none")
    rates = [
        (f"{per_s} requests/s, {burst} saved up", per_s, RateLimit(per_s=per_s, burst=burst, retry_after=how))
        for (per_s, burst), how in itertools.product(((50, 5), (200, 20), (200, 1)), told)
    ]
    caps = [
        (f"{most} calls at once", most / LATENCY_S, RateLimit(concurrent=most, retry_after=how))
        for most, how in itertools.product((4, 16), told)
    ]
    return [*rates, *caps]


@contextmanager
def limited(limit: RateLimit, at_random: float) -> Iterator[Sandbox]:
    """Run a sandbox with a limit, in a process of its own; a share of requests is refused besides."""
    command = [sys.executable, "-m", "pareta_sandbox", "--port", "0", "--latency-ms", str(1000 * LATENCY_S)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            sandbox = attach(running.stdout.readline().split()[-1])
            sandbox.inject(limit)
            if at_random:
                sandbox.inject(Status(status=429, share=at_random))
            yield sandbox
        finally:
            running.terminate()
            running.communicate()  # it prints its books


async def measure(name: str, allowed: float, limit: RateLimit, seconds: float, at_random: float) -> list[str]:
    """Run one batch against one limit."""
    with tempfile.TemporaryDirectory() as folder, limited(limit, at_random) as sandbox:
        batch = batch_of(round(allowed * seconds), Path(folder))
        client = AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url)
        report = await run_batch(batch, client, Ledger.open(f"sqlite:///{folder}/ledger.db"))
        at = sorted(debit.at for debit in sandbox.books().debits)
    late = [each for each in at if each > at[0] + LEARNING_S]
    per_s = (len(late) - 1) / (late[-1] - late[0])
    return [
        name,
        limit.retry_after,
        f"{per_s:.1f}",
        f"{100 * per_s / allowed:.0f} %",
        f"{100 * (len(at) - 1) / (at[-1] - at[0]) / allowed:.0f} %",
        f"{100 * report.refused / report.settled:.1f} %",
        str(report.failed),
    ]


def batch_of(rows: int, folder: Path) -> Batch:
    """Make a batch of so many rows."""
    dataset = folder / "rows.jsonl"
    dataset.write_text("".join(json.dumps({"id": n, "text": f"Invoice {n} is wrong."}) + "\n" for n in range(rows)))
    return Batch(
        name="pressure",
        model="ep_seed_tickets",
        dataset=str(dataset),
        prompt="Which team? {text}",
        id_column="id",
        sampling=Sampling(max_tokens=10),
        max_in_flight=64,
        output=str(folder / "answers.jsonl"),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=25.0, help="rows for so long at what is allowed")
    parser.add_argument("--only", default="", help="only the limits whose name contains this, e.g. '200 requests/s'")
    parser.add_argument("--told", default="", help="only this way of saying how long: seconds, fractional, none")
    parser.add_argument("--at-random", type=float, default=0.0, help="refuse this share of requests besides, e.g. 0.03")
    chosen = parser.parse_args()
    wanted = [each for each in limits() if chosen.only in each[0] and chosen.told in each[2].retry_after]
    rows = [asyncio.run(measure(*each, chosen.seconds, chosen.at_random)) for each in wanted]
    print(table("64 allowed in flight, 100 ms of service time", HEADS, rows))


if __name__ == "__main__":
    main()
