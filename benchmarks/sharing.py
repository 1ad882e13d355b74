"""Simulated runs that share one rate limit: `python -m benchmarks.sharing [--seconds 400] [--told-every 1]`.

Each row of the table is one service with two or four rate limiters, started together or one after the other. The goal:
together at least 85 % of the limit, the slowest run at least half its share, waste below 5 %.
"""

import argparse
from itertools import product

from pareta_batch.rate_limit import RateLimiter
from tests.batch.services import Service, play_together

WARM_UP_S = 60.0  # excluded from the measurement
APART_S = (0.0, 15.0)
BUCKETS = ((12, 12), (12, 1), (50, 10), (200, 20))


def measure(
    service: Service, per_s: float, runs: int, apart_s: float, seconds: float, told_every_s: float | None = None
) -> tuple[float, float, float]:
    """Return the share of the limit that is used, the slowest run relative to its share, and the waste."""
    begin = runs * apart_s + WARM_UP_S
    limiters = [RateLimiter(64) for _ in range(runs)]
    played = play_together(service, limiters, rows=10**7, apart_s=apart_s, until_s=seconds, told_every_s=told_every_s)
    rates = [sum(at > begin for at in each.answers) / (seconds - begin) for each in played]
    waste = sum(each.refused for each in played) / max(sum(len(each.answers) for each in played), 1)
    return sum(rates) / per_s, min(rates) / max(sum(rates) / runs, 1e-9), waste


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=400.0, help="simulated duration")
    parser.add_argument("--told-every", type=float, help="seconds between two reports of the runs to each other")
    chosen = parser.parse_args()
    seconds = chosen.seconds
    heads = ("limit", "Retry-After", "told", "runs", "apart", "of the limit", "slowest", "waste", "goal")
    print("| " + " | ".join(heads) + " |")
    print("|" + "---|" * len(heads))
    for (per_s, burst), how, tells, runs, apart_s in product(
        BUCKETS, ("none", "fractional", "seconds"), (False, True), (2, 4), APART_S
    ):
        service = Service(0.1, per_s=per_s, burst=burst, retry_after=how, tells=tells)  # type: ignore[arg-type]
        used, slowest, waste = measure(service, per_s, runs, apart_s, seconds, chosen.told_every)
        goal = "yes" if used >= 0.85 and slowest >= 0.5 and waste < 0.05 else "no"
        print(
            f"| {per_s}/s, burst {burst} | {how} | {'yes' if tells else 'no'} | {runs} | {apart_s:.0f} s "
            f"| {used:.0%} | {slowest:.2f} | {waste:.1%} | {goal} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
