"""The engine against services with unknown limits: `python benchmarks/pressure.py [--only TEXT]`.

The engine may have 64 calls in flight. The sandbox has a latency of 100 ms, runs in a separate process, and refuses
requests above its limit with 429. Its books provide the figures: completions per second after the first ten seconds
relative to the limit, refused relative to answered requests, and failed rows. The column "whole" counts from the first
completion, and so includes the learning phase.
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

LEARNING_S = 10.0  # excluded from completions/s
LATENCY_S = 0.1
HEADS = ["service allows", "Retry-After", "completions/s", "of the limit", "whole", "refused / answered", "failed rows"]


def limits() -> "list[tuple[str, float, RateLimit]]":
    """Return each limit with its name and the completions per second that it allows."""
    retry_after = ("seconds", "fractional", "none")
    rates = [
        (f"{per_s} requests/s, burst {burst}", per_s, RateLimit(per_s=per_s, burst=burst, retry_after=how))
        for (per_s, burst), how in itertools.product(((50, 5), (200, 20), (200, 1)), retry_after)
    ]
    caps = [
        (f"{cap} calls at once", cap / LATENCY_S, RateLimit(concurrent=cap, retry_after=how))
        for cap, how in itertools.product((4, 16), retry_after)
    ]
    return [*rates, *caps]


@contextmanager
def limited(limit: RateLimit, at_random: float = 0.0) -> Iterator[Sandbox]:
    """Run a sandbox with a limit in a separate process; also refuse a random share of its requests."""
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
            running.communicate()  # reads the books that it prints


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
    """Create a batch of `rows` rows."""
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
    parser.add_argument("--seconds", type=float, default=25.0, help="duration of a batch at the limit")
    parser.add_argument("--only", default="", help="only the limits whose name contains this, e.g. '200 requests/s'")
    parser.add_argument("--retry-after", default="", help="only this form of Retry-After: seconds, fractional, none")
    parser.add_argument("--at-random", type=float, default=0.0, help="also refuse this random share, e.g. 0.03")
    chosen = parser.parse_args()
    wanted = [each for each in limits() if chosen.only in each[0] and chosen.retry_after in each[2].retry_after]
    rows = [asyncio.run(measure(*each, chosen.seconds, chosen.at_random)) for each in wanted]
    print(table("64 allowed in flight, 100 ms of service time", HEADS, rows))


if __name__ == "__main__":
    main()
