"""Alarm rates of a watch: false alarms in a year without a change, and the delay after a drop of ten points.

python -m benchmarks.watch            # prints a Markdown table; takes some minutes
"""

import argparse

import numpy as np

from tests.report.weeks import alarms, delay, year

ROWS = (50, 100, 200, 500)
AFTER = (2, 4, 8, 26)


def main() -> None:
    """Print the table of docs/comparisons.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--years", type=int, default=200)
    years = parser.parse_args().years
    heads = ["quiet years that alarm, %", *(f"drop after {after} runs: half / 8 of 10 seen" for after in AFTER)]
    print("| rows | " + " | ".join(heads) + " |")
    print("|---:|" + "---:|" * len(heads))
    for rows in ROWS:
        rng = np.random.default_rng(rows)
        quiet = np.mean([alarms([year(rng, rows)]).any() for _ in range(years)])
        cells = [f"{100 * quiet:.1f}", *(_seen(rng, rows, after, years) for after in AFTER)]
        print(f"| {rows} | " + " | ".join(cells) + " |", flush=True)


def _seen(rng: np.random.Generator, rows: int, after: int, years: int) -> str:
    delays = [delay(year(rng, rows, drop=0.1, after=after), after) for _ in range(max(years // 2, 1))]
    half, most = (np.quantile(delays, share, method="higher") for share in (0.5, 0.8))
    return f"{_series_scores(half)} / {_series_scores(most)}"


def _series_scores(number: float) -> str:
    return "not in 52" if np.isinf(number) else f"{number:.0f}"


if __name__ == "__main__":
    main()
