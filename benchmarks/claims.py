"""Error rates of the claims of a comparison: `python -m benchmarks.claims [--samples 10000]`.

Prints the tables of docs/statistics.md. A cell for groups shows the worst of 2 to 50 groups. The tests run a part.
"""

import argparse
from collections.abc import Sequence
from datetime import date

import numpy as np
from scipy import stats

from pareta_report.stats import intervals, power, significance
from pareta_report.stats.bounded_mean import Units, tail
from tests.report.runs import graders
from tests.report.simulated import SIZES, WORLDS, coverage, false_passes, power_of_detectable, power_of_needed

MARGINS = (0.02, 0.05, 0.1)
ROWS = (20, 50, 100, 200, 500, 1_000)
GROUPS = (2, 3, 4, 5, 10, 20, 35, 50)


def gate(samples: int) -> None:
    """Print the share of samples in which a model exactly at the margin passes the gate."""
    print("\n### False passes at the margin, % (at most 5)\n")
    header("scores", *(f"{rows:,} rows" for rows in ROWS), *(f"groups {sizes}" for sizes in SIZES))
    for world in WORLDS:
        alone = [max(false_passes(world, "alike", rows, rows, m, samples) for m in MARGINS) for rows in ROWS]
        grouped = [
            max(false_passes(world, sizes, g, 400, m, samples) for m in MARGINS for g in GROUPS) for sizes in SIZES
        ]
        line(world, *map(percent, alone), *map(percent, grouped))


def covered(samples: int) -> None:
    """Print the coverage of 95 % intervals of a difference."""
    print("\n### Coverage of 95 % intervals of a difference, % (at least 93.5)\n")
    header("scores", *(f"{rows:,} rows" for rows in ROWS), *(f"groups {sizes}" for sizes in SIZES))
    for world in WORLDS:
        alone = [min(coverage(world, "alike", rows, rows, -m, samples) for m in MARGINS) for rows in ROWS]
        grouped = [min(coverage(world, sizes, g, 400, -m, samples) for m in MARGINS for g in GROUPS) for sizes in SIZES]
        line(world, *map(percent, alone), *map(percent, grouped))


def proportions() -> None:
    """Print the exact coverage of the interval of the quality of one model, over all qualities."""
    print("\n### Coverage of the interval of a share of right answers, over all shares, % (enumerated)\n")
    header("rows", "least", "mean")
    for rows in ROWS:
        ends = np.array([intervals.exact(right, rows) for right in range(rows + 1)])
        held = []
        for share in np.linspace(0.005, 0.995, 199):
            inside = (ends[:, 0] <= share) & (share <= ends[:, 1])
            held.append(float(stats.binom.pmf(np.arange(rows + 1), rows, share)[inside].sum()))
        line(f"{rows:,}", percent(min(held)), percent(float(np.mean(held))))


def powers(samples: int) -> None:
    """Print the actual power where 80 % is claimed."""
    print("\n### Real power where 80 % is claimed, % (75 to 85)\n")
    header("scores", "rows needed", "would show, 100 groups", "would show, 400 groups", "groups needed", "of 20 tests")
    for better, worse in ((0.15, 0.08), (0.3, 0.2), (0.06, 0.0), (0.12, 0.02)):
        rows = power.rows_needed(better, worse) or 0
        shown = mcnemar_shown(rows, better, worse, 1, samples)
        many = power.rows_needed(better, worse, 20) or 0
        of_many = mcnemar_shown(many, better, worse, 20, samples)
        named = f"right or wrong, {better:.0%} against {worse:.0%}"
        line(named, f"{rows}: {percent(shown)}", "", "", "", percent(of_many))
    for world in ("graded", "skewed", "hidden failure", "overdispersed", "whole groups"):
        shows = [percent(power_of_detectable(world, units, 1, min(samples, 4_000))) for units in (100, 400)]
        needed, shown = power_of_needed(world, 400, 0.0, 1, min(samples, 4_000))
        _, of_many = power_of_needed(world, 400, 0.0, 20, min(samples, 4_000))
        line(world, "", *shows, f"{needed}: {percent(shown)}", percent(of_many))


def mcnemar_shown(rows: int, better: float, worse: float, tests: int, samples: int) -> float:
    """Return the share of samples of `rows` rows in which McNemar's test shows a difference."""
    counts = np.random.default_rng(rows).multinomial(rows, [better, worse, 1 - better - worse], samples)
    p = [stats.binomtest(int(b), int(b + w)).pvalue if b + w else 1.0 for b, w, _ in counts]
    return float((np.array(p) <= significance.ALPHA / tests).mean())


def families(samples: int) -> None:
    """Print the family-wise error rate: any claim among equal models."""
    print("\n### Any claim among equal models, % (at most 5)\n")
    header("models", "right or wrong, 120 rows", "graded, 120 rows", "graded, 30 groups of 4", "as good at the margin")
    for models in (3, 5, 8, 20):
        made = [claims(models, kind, samples // 10) for kind in ("right", "graded", "grouped")]
        line(str(models), *map(percent, made), percent(at_margin(models, samples)))


def claims(models: int, kind: str, samples: int) -> float:
    """Return the share of samples in which the best of equal models is called better than any other."""
    rng = np.random.default_rng(models)
    names = [str(row // 4) for row in range(120)] if kind == "grouped" else None
    made = 0
    for _ in range(samples):
        if kind == "right":
            scores = [np.array(s) for s in graders(rng, 120, *[0.8] * models)]
        else:
            hard = np.repeat(rng.uniform(0, 0.4, 30), 4) if kind == "grouped" else rng.uniform(0, 0.4, 120)
            scores = [np.clip(hard + rng.beta(5, 2, 120) / 2, 0, 1) for _ in range(models)]
        best, *rest = sorted(scores, key=lambda own: -float(own.mean()))
        gaps = [best - other for other in rest]
        p_values = [significance.p_of_gaps(gap, gap, names) for gap in gaps]
        made += min(significance.best_against_rest(p_values)) <= significance.ALPHA
    return made / samples


def at_margin(models: int, samples: int) -> float:
    """Return the share of samples in which a model exactly at the margin is called as good."""
    rng = np.random.default_rng(models)
    counts = rng.multinomial(200, [0.05, 0.1, 0.85], (samples, models)).astype(np.float64)
    values = np.broadcast_to([1.0, -1.0, 0.0], counts.shape)
    z = tail(Units(values, np.ones_like(values), counts), -0.05, -1.0).z.min(axis=1)
    return float((z <= stats.norm.ppf(0.025 / models)).mean())


def percent(share: float) -> str:
    """Format a share of 1 in per cent."""
    return f"{100 * share:.1f}"


def header(*names: str) -> None:
    """Print the header of a table."""
    line(*names)
    line(*["---"] * len(names))


def line(*cells: str) -> None:
    """Print a row of a table."""
    print(f"| {' | '.join(cells)} |", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=10_000, help="samples of each cell")
    asked = parser.parse_args(arguments)
    error = 100 * (0.05 * 0.95 / asked.samples) ** 0.5
    print(
        f"{date.today():%d %B %Y}, {asked.samples:,} samples a cell: one standard error of 5 % is {error:.2f} points."
    )
    gate(asked.samples)
    covered(asked.samples)
    proportions()
    powers(asked.samples)
    families(asked.samples)


if __name__ == "__main__":
    main()
