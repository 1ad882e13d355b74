"""Evidence that a model has become worse, in a series of runs on the same rows: valid at every look, however many.

Null hypothesis: the runs of a model are exchangeable row by row. Given all scores of a row so far, the latest is then
equally likely to be any of them, so the sum of the latest scores has a known distribution and a p value. These p
values are independent over time (conformal test: Vovk, Gammerman and Shafer 2022, *Algorithmic Learning in a Random
World*, 8.1). Each becomes an e-value by a bet on a drop. The product is a test martingale (Shafer 2021, *J. R. Stat.
Soc. A* 184:407; Grünwald, de Heide and Koolen 2024, *J. R. Stat. Soc. B* 86:1091; Waudby-Smith and Ramdas 2024, *ibid.*
86:1), and so is a mixture of products. By Ville's inequality it ever exceeds 1/α with probability α at most.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

WATCH_ALPHA = 0.05
"""Chance that a series without a change ever alarms. Raised: earlier alarms, more false ones."""
DROPS = (1.0, 2.0, 4.0)
"""Drops that are bet on, in standard deviations of one run's mean. Larger ones: faster on large samples only."""
MOST_DRAWS = 9_999
"""Simulated sums for graded scores. Raised: a smaller smallest p value, slower."""
MOST_NUMBERS = 5_000_000
"""Random numbers for one look. Raised: more draws on large sets, slower."""
LARGEST_LOG = 600.0
"""Bound on the log of a product, below the overflow of a float."""
SMALLEST_P = 1e-12
"""Floor of a p value: rounding of the transform. Raised: single looks count for less."""


@dataclass(frozen=True)
class Look:
    """A model in one run: the score of every row that was answered, and of how many rows asked how many were not.

    Without per-row scores, `mean` and its `standard_error` stand for them.
    """

    scores: Mapping[int, float] = field(default_factory=dict)
    asked: int = 0
    errors: int = 0
    mean: float | None = None
    standard_error: float | None = None

    @property
    def unanswered(self) -> float:
        """Share of the rows asked that have no answer."""
        return self.errors / self.asked if self.asked else 0.0

    @property
    def quality(self) -> float | None:
        """Mean score of the rows that were answered."""
        return sum(self.scores.values()) / len(self.scores) if self.scores else self.mean


def evidence_of_drop(looks: Sequence[Look], groups: Mapping[int, str] | None = None, rise: bool = False) -> float:
    """Return the e-value of a drop (or a rise) somewhere in the series, up to its last look; 1 is no evidence."""
    found = e_values([(-1 if rise else 1) * z for z in surprises(looks, groups)])
    return float(found[-1]) if found.size else 1.0


def surprises(looks: Sequence[Look], groups: Mapping[int, str] | None = None) -> list[float]:
    """Return a standard normal score per look after the first, negative where the look is worse than those before."""
    return [_surprise(looks[: place + 1], groups) for place in range(1, len(looks))]


def e_values(surprises: Sequence[float]) -> Numbers:
    """Return the e-value at every look: a mixture of products over the run that began the change and over its size.

    A change that begins with run `c` has the prior weight 1 / (c (c − 1)). Run `t` is then below the mean of all runs
    before it by a share (c − 1) / (t − 1) of the drop, because `t − c` of them are below as well.
    """
    z = np.asarray(surprises, dtype=np.float64)
    runs = np.arange(2, z.size + 2)  # the number of the run that each is of
    began = runs[:, np.newaxis]
    expected = np.where(runs >= began, (began - 1) / (runs - 1) * np.sqrt((runs - 1) / runs), 0.0)
    drops = np.array(DROPS)[:, np.newaxis, np.newaxis] * expected
    products = np.exp(np.minimum(np.cumsum(-drops * z - drops**2 / 2, axis=2), LARGEST_LOG)).mean(axis=0)
    # Nothing was bet on changes still to come: their products are 1.
    weights = 1 / (runs * (runs - 1))
    mixture: Numbers = weights @ products + 1 - weights.sum()
    return mixture


def e_bh(evidence: Sequence[float]) -> list[float]:
    """Return adjusted p values of several e-values: e-BH alarms at those that are at most α.

    Wang and Ramdas 2022, *J. R. Stat. Soc. B* 84:822.
    """
    adjusted, least, tests = [1.0] * len(evidence), 1.0, len(evidence)
    for smaller, place in enumerate(sorted(range(tests), key=evidence.__getitem__)):
        least = min(least, tests / ((tests - smaller) * max(evidence[place], 1e-300)))
        adjusted[place] = least
    return adjusted


def _surprise(looks: Sequence[Look], groups: Mapping[int, str] | None) -> float:
    *before, now = looks
    if now.mean is not None:
        return _by_means(before, now)
    pools = _pools(before, now, groups)
    if not pools:
        return 0.0
    from scipy.stats import norm

    p = _p_of_right_or_wrong(pools) if _right_or_wrong(pools) else _p_of_graded(pools)
    return float(norm.ppf(min(max(p, SMALLEST_P), 1 - SMALLEST_P)))


@dataclass(frozen=True)
class _Pool:
    """A row's scores, or a group's mean scores, in all runs that answered it, the latest last; and its rows now."""

    values: tuple[float, ...]
    rows: int = 1


def _pools(before: Sequence[Look], now: Look, groups: Mapping[int, str] | None) -> list[_Pool]:
    if groups is None:
        rows = ((row, tuple(look.scores[row] for look in before if row in look.scores)) for row in sorted(now.scores))
        return [_Pool((*earlier, now.scores[row])) for row, earlier in rows if earlier]
    *earlier_means, latest = [_group_means(look, groups) for look in (*before, now)]
    members = {group: tuple(means[group][0] for means in earlier_means if group in means) for group in latest}
    return [_Pool((*values, latest[group][0]), latest[group][1]) for group, values in members.items() if values]


def _group_means(look: Look, groups: Mapping[int, str]) -> dict[str, tuple[float, int]]:
    found: dict[str, list[float]] = {}
    for row in sorted(look.scores):
        found.setdefault(groups.get(row, f"row {row}\0"), []).append(look.scores[row])
    return {group: (sum(scores) / len(scores), len(scores)) for group, scores in found.items()}


def _right_or_wrong(pools: Sequence[_Pool]) -> bool:
    return all(pool.rows == 1 and set(pool.values) <= {0.0, 1.0} for pool in pools)


def _p_of_right_or_wrong(pools: Sequence[_Pool]) -> float:
    """Return the chance of as few right answers as in the latest run: the Poisson-binomial distribution, by transform.

    Hong 2013, *Comput. Stat. Data Anal.* 59:41.
    """
    shares, counts = np.unique([sum(pool.values) / len(pool.values) for pool in pools], return_counts=True)
    return poisson_binomial(shares, counts, int(sum(pool.values[-1] for pool in pools)))


def poisson_binomial(shares: Numbers, counts: NDArray[np.int64], most: int) -> float:
    """Return the chance of at most `most` successes among trials, `counts` of them with each of the `shares`."""
    total = int(counts.sum())
    turns = np.exp(2j * np.pi * np.arange(total + 1) / (total + 1))
    transform = np.prod((1 - shares[:, np.newaxis] + shares[:, np.newaxis] * turns) ** counts[:, np.newaxis], axis=0)
    return float(np.fft.fft(transform).real[: most + 1].sum() / (total + 1))


def _p_of_graded(pools: Sequence[_Pool]) -> float:
    """Return a Monte Carlo p value: draws of one score per row from its pool, none of them below 1 / (draws + 1)."""
    sizes = np.array([len(pool.values) for pool in pools])
    values = np.zeros((len(pools), sizes.max()))
    for place, pool in enumerate(pools):
        values[place, : sizes[place]] = pool.values
    weights = np.array([pool.rows for pool in pools], dtype=np.float64)
    latest = float(sum(pool.values[-1] * pool.rows for pool in pools))
    draws = min(MOST_DRAWS, max(MOST_NUMBERS // len(pools), 999))
    rng = np.random.default_rng([len(pools), int(sizes.sum()), int(1e6 * abs(latest))])
    as_low, rows = 0, np.arange(len(pools))
    for size in _pieces(draws, max(1, 500_000 // len(pools))):
        chosen = (rng.random((size, len(pools))) * sizes).astype(np.int64)
        as_low += int((values[rows, chosen] @ weights <= latest + 1e-9).sum())
    return (1 + as_low) / (1 + draws)


def _pieces(total: int, most: int) -> list[int]:
    return [min(most, total - done) for done in range(0, total, most)]


def _by_means(before: Sequence[Look], now: Look) -> float:
    """Return how far a published mean lies below those before, in standard errors, as if samples were independent."""
    means = [look.quality for look in before if look.quality is not None]
    if not means or now.mean is None or not now.standard_error:
        return 0.0
    return float((now.mean - np.mean(means)) / (now.standard_error * np.sqrt(1 + 1 / len(means))))
