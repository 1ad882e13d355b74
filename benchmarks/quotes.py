"""Coverage of quotes from a pilot: the grid of tests/batch/test_forecast.py, with more pilots and sizes.

python -m benchmarks.quotes            # prints a Markdown table; takes about three minutes
"""

import argparse

from tests.batch.pilots import LOGNORMAL, OTHERS, coverage

PILOTS = (5, 10, 20, 50, 200)


def main() -> None:
    """Print the table of docs/batch.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=1_000)
    samples = parser.parse_args().samples
    print("| answer lengths | " + " | ".join(f"{pilot} rows" for pilot in PILOTS) + " |")
    print("|---|" + "---:|" * len(PILOTS))
    for kind in (*LOGNORMAL, *OTHERS):
        found = [coverage(kind, pilot, samples=samples, seed=2) for pilot in PILOTS]
        print(f"| {kind.name} | " + " | ".join(f"{100 * each.held:.1f}" for each in found) + " |", flush=True)


if __name__ == "__main__":
    main()
