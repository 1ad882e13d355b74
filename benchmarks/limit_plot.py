"""Plot of one batch against a service with an unknown limit: `python benchmarks/limit_plot.py [--output FILE]`.

The sandbox runs in a separate process. Its books provide the completions; the report
of the batch provides the learned limits. The plot is in docs/design/rate-limits.md.
"""

import argparse
import asyncio
import tempfile
from collections import Counter
from pathlib import Path

import matplotlib as mpl
from batch_parts.pressed import batch_of
from pressure import limited

from pareta_batch.ledger.ledger import Ledger
from pareta_batch.report import BatchReport
from pareta_batch.run import run_batch
from pareta_client import AsyncPareta
from pareta_sandbox.testing import RateLimit

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "rate-limits"

import matplotlib.pyplot as plt  # noqa: E402 - the backend comes first

PER_S, BURST = 50, 5


async def run(seconds: float) -> tuple[BatchReport, list[float]]:
    """Run one batch; return its report, and the seconds of each completion since the first."""
    limit = RateLimit(per_s=PER_S, burst=BURST, retry_after="fractional")
    with tempfile.TemporaryDirectory() as folder, limited(limit) as sandbox:
        client = AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url)
        batch = batch_of(round(PER_S * seconds), Path(folder))
        report = await run_batch(batch, client, Ledger.open(f"sqlite:///{folder}/ledger.db"))
        at = sorted(debit.at for debit in sandbox.books().debits)
    return report, [each - at[0] for each in at]


def draw(report: BatchReport, at: list[float], path: Path) -> None:
    """Write the completions per second, the learned rate and the limit of the service as an SVG."""
    figure, axes = plt.subplots(figsize=(8, 3.2), layout="constrained")
    counts = Counter(int(each) for each in at)
    whole = range(int(at[-1]))
    axes.step(whole, [counts[second] for second in whole], where="post", label="completions per second")
    learned = [(each.at_s, each.per_s) for each in report.limits if each.per_s is not None]
    axes.step(
        [at_s for at_s, _ in learned] + [at[-1]],
        [per_s for _, per_s in learned] + [learned[-1][1]],
        where="post",
        label="learned limit",
    )
    axes.axhline(PER_S, color="grey", linestyle=":", label=f"limit of the service: {PER_S} per second, burst {BURST}")
    axes.set(xlabel="seconds since the first call", ylabel="per second", ylim=(0, None), xlim=(0, at[-1]))
    axes.set_title(f"{report.settled:,} rows, {report.refused} refused requests", fontsize=10)
    axes.legend(loc="upper right", fontsize=8)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="duration of the batch at the limit")
    parser.add_argument("--output", type=Path, default=Path("docs/design/rate-limits.svg"))
    chosen = parser.parse_args()
    report, at = asyncio.run(run(chosen.seconds))
    draw(report, at, chosen.output)
    print(f"{chosen.output}: {report.settled} rows in {at[-1]:.1f} s, {report.refused} refused, {report.failed} failed")


if __name__ == "__main__":
    main()
