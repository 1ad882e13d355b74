"""The engine against services with unknown limits: `python benchmarks/pressure.py [--only TEXT] [--against CHECKOUT]`.

The engine may have 64 calls in flight and runs in a new process. The sandbox has a latency of 100 ms, runs in another
process, and refuses requests above its limit with 429. Its books provide the figures: completions per second after the
first ten seconds relative to the limit, refused relative to answered requests, and failed rows. The column "whole"
counts from the first completion, and so includes the learning phase.

With `--against` the code of another checkout runs in the same rounds, against the same service, and a second table has
the ratios.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from client import PROJECT, Measured, table

from pareta_sandbox.testing import RateLimit, Sandbox, Status, attach

PARTS = Path(__file__).parent / "batch_parts"
LEARNING_S = 10.0  # excluded from completions/s
LATENCY_S = 0.1
HEADS = ["service allows", "Retry-After", "completions/s", "of the limit", "whole", "refused / answered", "failed rows"]
RATIO_HEADS = ["service allows", "Retry-After", "requests", "refused", "ratio", "CPU", "completions/s", "whole"]
Limit = tuple[str, float, RateLimit]
"""Its name, and the completions per second that it allows."""


def limits() -> list[Limit]:
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


def measure(limit: RateLimit, allowed: float, checkout: Path, seconds: float, at_random: float) -> Measured:
    """Run one batch against one limit, with the code of a checkout, in a new process."""
    with tempfile.TemporaryDirectory() as folder, limited(limit, at_random) as sandbox:
        command = [sys.executable, str(PARTS / "pressed.py"), sandbox.base_url, sandbox.api_key]
        done = subprocess.run(
            [*command, str(round(allowed * seconds)), folder],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(checkout)},
            check=True,
            cwd=folder,
        )
        at = sorted(debit.at for debit in sandbox.books().debits)
    measured: Measured = json.loads(done.stdout.splitlines()[-1])
    late = [each for each in at if each > at[0] + LEARNING_S]
    measured["per_s"] = (len(late) - 1) / (late[-1] - late[0])
    measured["whole_per_s"] = (len(at) - 1) / (at[-1] - at[0])
    return measured


def compare(wanted: Sequence[Limit], options: argparse.Namespace) -> str:
    """Measure every limit, each checkout in turn, and return a table, and one of ratios with `--against`."""
    checkouts = [PROJECT, *([options.against] if options.against else [])]
    lines, ratios = [], []
    for name, allowed, limit in wanted:
        rounds: dict[Path, list[Measured]] = {checkout: [] for checkout in checkouts}
        # The first of a pair alternates: a load that rises or falls meets both.
        for number in range(options.rounds):
            for checkout in checkouts[:: -1 if number % 2 else 1]:
                rounds[checkout].append(measure(limit, allowed, checkout, options.seconds, options.at_random))
        totals = [total(each) for each in rounds.values()]
        lines += [
            [f"{name}{mark}", limit.retry_after, *cells(each, allowed)]
            for each, mark in zip(totals, ("", ", before"), strict=False)
        ]
        ratios += [[name, limit.retry_after, *ratio(*totals)]] if options.against else []
    title = "64 allowed in flight, 100 ms of service time"
    return table(title, HEADS, lines) + ("\n" + table("After / before", RATIO_HEADS, ratios) if ratios else "")


def total(rounds: Sequence[Measured]) -> Measured:
    """Return the sums of the counts and the means of the rates over the rounds."""
    summed = {name: sum(each[name] for each in rounds) for name in rounds[0]}
    return {name: sum_ / len(rounds) if name.endswith("per_s") else sum_ for name, sum_ in summed.items()}


def cells(one: Measured, allowed: float) -> list[str]:
    """Format the figures of one limit as table cells."""
    return [
        f"{one['per_s']:.1f}",
        f"{100 * one['per_s'] / allowed:.0f} %",
        f"{100 * one['whole_per_s'] / allowed:.0f} %",
        f"{100 * one['refused'] / one['settled']:.1f} %",
        f"{one['failed']:.0f}",
    ]


def ratio(after: Measured, before: Measured) -> list[str]:
    """Format the figures after a change relative to those before it: counts and CPU first, which load changes least."""
    requests = (after["settled"] + after["refused"]) / (before["settled"] + before["refused"])
    return [
        f"{requests:.3f}",
        f"{after['refused']:.0f} / {before['refused']:.0f}",
        f"{after['refused'] / before['refused']:.2f}" if before["refused"] else "–",
        f"{after['cpu_s'] / before['cpu_s']:.2f}",
        f"{after['per_s'] / before['per_s']:.2f}",
        f"{after['whole_per_s'] / before['whole_per_s']:.2f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=25.0, help="duration of a batch at the limit")
    parser.add_argument("--only", default="", help="only the limits whose name contains this, e.g. '200 requests/s'")
    parser.add_argument("--retry-after", default="", help="only this form of Retry-After: seconds, fractional, none")
    parser.add_argument("--at-random", type=float, default=0.0, help="also refuse this random share, e.g. 0.03")
    parser.add_argument("--rounds", type=int, default=1, help="batches for each limit, and for each checkout")
    parser.add_argument("--against", type=Path, help="another checkout, to measure its code in the same rounds")
    options = parser.parse_args()
    wanted = [each for each in limits() if options.only in each[0] and options.retry_after in each[2].retry_after]
    print(compare(wanted, options))


if __name__ == "__main__":
    main()
