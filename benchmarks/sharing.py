"""Simulated runs that share one rate limit: `python -m benchmarks.sharing [--seconds 400] [--told-every 1]`.

Each row of the table is one service with two or four rate limiters, started together or one after the other. The goal:
together at least 85 % of the limit, the slowest run at least half its share, waste below 5 %. With `--seeds 6`, a row
has the worst of each, and the number of seeds that meet the goal.

`--over-http` measures real runs instead: batches on one ledger, against a sandbox in another process, in `--seconds`.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

from pareta_batch.engine.planning import register_rows
from pareta_batch.engine.session import open_session
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.rate_limit import RateLimiter
from pareta_batch.run import complete_shards
from pareta_client import AsyncPareta
from pareta_sandbox.testing import RateLimit, Sandbox, attach
from tests.batch.batches import batch_in, ledger_in
from tests.batch.services import Service, play_together, shared

WARM_UP_S = 60.0  # excluded from the measurement
APART_S = (0.0, 15.0)
BUCKETS = ((12, 12), (12, 1), (50, 10), (200, 20))
HTTP_BUCKETS = ((12, 12), (12, 1), (50, 1))
Measured = tuple[float, float, float]
"""The used share of the limit, the slowest run relative to its share, and the refused relative to answered calls."""


def measure(
    service: Service, runs: int, apart_s: float, seconds: float, told_every_s: float | None = None, seed: int = 0
) -> Measured:
    """Simulate runs that share a limit, and measure them after the warm-up."""
    begin = runs * apart_s + WARM_UP_S
    limiters = [RateLimiter(64) for _ in range(runs)]
    played = play_together(
        service, limiters, rows=10**7, apart_s=apart_s, until_s=seconds, told_every_s=told_every_s, seed=seed
    )
    per_s, slowest, waste = shared(played, begin, seconds)
    return per_s / (service.per_s or 1), slowest, waste


@contextmanager
def limited(limit: RateLimit) -> Iterator[Sandbox]:
    """Run a sandbox with a limit and a latency of 100 ms in a separate process."""
    command = [sys.executable, "-m", "pareta_sandbox", "--port", "0", "--latency-ms", "100"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            sandbox = attach(running.stdout.readline().split()[-1])
            sandbox.inject(limit)
            yield sandbox
        finally:
            running.terminate()


async def over_http(limit: RateLimit, runs: int, apart_s: float, seconds: float) -> Measured:
    """Measure runs on one ledger against a sandbox, after the warm-up."""
    with tempfile.TemporaryDirectory() as folder, limited(limit) as sandbox:
        ledger = ledger_in(Path(folder))
        begin = runs * apart_s + WARM_UP_S
        folders = [Path(tempfile.mkdtemp(dir=folder)) for _ in range(runs)]
        sent = [_send(each, sandbox, ledger, n * apart_s, begin, seconds) for n, each in enumerate(folders)]
        counts = await asyncio.gather(*sent)
        ledger.close()
    rates = [measured / (seconds - begin) for measured, _, _ in counts]
    waste = sum(refused for _, _, refused in counts) / max(sum(settled for _, settled, _ in counts), 1)
    return sum(rates) / (limit.per_s or 1), min(rates) / max(sum(rates) / runs, 1e-9), waste


async def _send(
    folder: Path, sandbox: Sandbox, ledger: Ledger, start_s: float, begin_s: float, end_s: float
) -> tuple[int, int, int]:
    """Send one batch; return its settled rows after the warm-up and in all, and its refused calls."""
    rows: list[dict[str, object]] = [{"id": n, "text": f"row {n} of {folder.name}"} for n in range(10_000)]
    batch = batch_in(folder, rows, name=f"run-{folder.name}", max_in_flight=64)
    plan = register_rows(batch, ledger)
    await asyncio.sleep(start_s)
    client = AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url)
    loop = asyncio.get_running_loop()
    before: list[int] = []
    async with open_session(batch, client, ledger) as session:
        loop.call_later(begin_s - start_s, lambda: before.append(ledger.tally(batch.name).settled))
        loop.call_later(end_s - start_s, lambda: session.stop_because("Enough", "the time is over"))
        await complete_shards(session, plan.missing)
    settled = ledger.tally(batch.name).settled
    return settled - before[0], settled, session.gate.limiter.refusals


def meets_goal(measured: Measured) -> bool:
    """Return whether runs used the limit, shared it and wasted few requests."""
    used, slowest, waste = measured
    return used >= 0.85 and slowest >= 0.5 and waste < 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=400.0, help="duration")
    parser.add_argument("--told-every", type=float, help="seconds between two reports of the runs to each other")
    parser.add_argument("--seeds", type=int, default=1, help="simulations of each row")
    parser.add_argument("--over-http", action="store_true", help="measure real runs")
    chosen = parser.parse_args()
    heads = ("limit", "Retry-After", "told", "runs", "apart", "of the limit", "slowest", "waste", "goal")
    print("| " + " | ".join(heads) + " |")
    print("|" + "---|" * len(heads))
    told = (False,) if chosen.over_http else (False, True)
    for (per_s, burst), how, tells, runs, apart_s in product(
        HTTP_BUCKETS if chosen.over_http else BUCKETS, ("none", "fractional", "seconds"), told, (2, 4), APART_S
    ):
        if chosen.over_http:
            limit = RateLimit(per_s=per_s, burst=burst, retry_after=how)
            measured = [asyncio.run(over_http(limit, runs, apart_s, chosen.seconds))]
        else:
            service = Service(0.1, per_s=per_s, burst=burst, retry_after=how, tells=tells)  # type: ignore[arg-type]
            measured = [
                measure(service, runs, apart_s, chosen.seconds, chosen.told_every, seed) for seed in range(chosen.seeds)
            ]
        used, slowest, wastes = zip(*measured, strict=True)
        print(
            f"| {per_s}/s, burst {burst} | {how} | {'yes' if tells else 'no'} | {runs} | {apart_s:.0f} s "
            f"| {min(used):.0%} | {min(slowest):.2f} | {max(wastes):.1%} "
            f"| {sum(map(meets_goal, measured))} of {len(measured)} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
