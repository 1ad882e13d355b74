"""E-values for a drop in quality over a series of runs on the same rows: anytime-valid evidence.

Null hypothesis: the runs of a model are exchangeable row by row.

1. The latest score of a row is equally likely to be any of its scores so far. The sum of the latest scores therefore
   has a known distribution and a p value. These p values are independent over time (conformal test: Vovk, Gammerman
   and Shafer 2022, *Algorithmic Learning in a Random World*, 8.1).
2. Each p value becomes an e-value by a bet on a drop. The product is a test martingale, and so is a mixture of products
   (Shafer 2021, *J. R. Stat. Soc. A* 184:407; Grünwald, de Heide and Koolen 2024, *J. R. Stat. Soc. B* 86:1091;
   Waudby-Smith and Ramdas 2024, *ibid.* 86:1).
3. By Ville's inequality it ever exceeds 1/α with a probability of at most α.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

WATCH_ALPHA = 0.05
"""Probability that a series without a change ever alarms. Raised: earlier alarms, more false ones."""
DROPS = (1.0, 2.0, 4.0)
"""Drops to bet on, in standard deviations of one run's mean. Larger values: faster on large samples only."""
MAX_DRAWS = 9_999
"""Simulated sums for graded scores. Raised: a lower minimum of the p value, slower."""
MAX_RANDOM_NUMBERS = 5_000_000
"""Random numbers per look. Raised: more draws on large sets, slower."""
MAX_LOG_PRODUCT = 600.0
"""Maximum logarithm of a product. Raised above 709: float overflow."""
MIN_P = 1e-12
"""Minimum p value: rounding error of the transform. Raised: less evidence from a single look."""


@dataclass(frozen=True)
class RunScores:
    """A model in one run: the scores of the answered rows by index, rows requested, and rows without an answer.

    Without per-row scores, `mean` and `standard_error` replace them.
    """

    scores: Mapping[int, float] = field(default_factory=dict)
    asked: int = 0
    errors: int = 0
    mean: float | None = None
    standard_error: float | None = None

    @property
    def unanswered(self) -> float:
        """Share of the rows requested without an answer."""
        return self.errors / self.asked if self.asked else 0.0

    @property
    def quality(self) -> float | None:
        """Mean score of the answered rows."""
        return sum(self.scores.values()) / len(self.scores) if self.scores else self.mean


def evidence_of_drop(looks: Sequence[RunScores], groups: Mapping[int, str] | None = None, rise: bool = False) -> float:
    """Return the e-value of a drop (or a rise) in the series up to its last look; 1 is no evidence."""
    found = e_values([(-1 if rise else 1) * z for z in surprises(looks, groups)])
    return float(found[-1]) if found.size else 1.0


def surprises(looks: Sequence[RunScores], groups: Mapping[int, str] | None = None) -> list[float]:
    """Return a standard normal score per look after the first; negative if the look is worse than the earlier ones."""
    return [_surprise(looks[: place + 1], groups) for place in range(1, len(looks))]


def e_values(surprises: Sequence[float]) -> Numbers:
    """Return the e-value at every look: a mixture of products over the first run of the change and over its size.

    - Prior weight of a change that begins with run `c`: `1 / (c (c − 1))`.
    - Expected distance of run `t` to the mean of all earlier runs: `(c − 1) / (t − 1)` of the drop, because `t − c` of
      these have dropped too.
    """
    z = np.asarray(surprises, dtype=np.float64)
    runs = np.arange(2, z.size + 2)  # run number of each score
    began = runs[:, np.newaxis]
    expected = np.where(runs >= began, (began - 1) / (runs - 1) * np.sqrt((runs - 1) / runs), 0.0)
    drops = np.array(DROPS)[:, np.newaxis, np.newaxis] * expected
    products = np.exp(np.minimum(np.cumsum(-drops * z - drops**2 / 2, axis=2), MAX_LOG_PRODUCT)).mean(axis=0)
    # No bet on changes after the last run: their products are 1.
    weights = 1 / (runs * (runs - 1))
    mixture: Numbers = weights @ products + 1 - weights.sum()
    return mixture


def e_bh(evidence: Sequence[float]) -> list[float]:
    """Return adjusted p values of several e-values by e-BH; those of at most α alarm.

    Wang and Ramdas 2022, *J. R. Stat. Soc. B* 84:822.
    """
    adjusted, least, tests = [1.0] * len(evidence), 1.0, len(evidence)
    for smaller, place in enumerate(sorted(range(tests), key=evidence.__getitem__)):
        least = min(least, tests / ((tests - smaller) * max(evidence[place], 1e-300)))
        adjusted[place] = least
    return adjusted


def _surprise(looks: Sequence[RunScores], groups: Mapping[int, str] | None) -> float:
    *before, now = looks
    if now.mean is not None:
        return _by_means(before, now)
    pools = _pools(before, now, groups)
    if not pools:
        return 0.0
    from scipy.stats import norm

    right_or_wrong = all(pool.rows == 1 and set(pool.values) <= {0.0, 1.0} for pool in pools)
    p = _p_of_right_or_wrong(pools) if right_or_wrong else _p_of_graded(pools)
    return float(norm.ppf(min(max(p, MIN_P), 1 - MIN_P)))


@dataclass(frozen=True)
class _Pool:
    """The scores of a row, or the mean scores of a group, over the runs, latest last; `rows` is its size there."""

    values: tuple[float, ...]
    rows: int = 1


def _pools(before: Sequence[RunScores], now: RunScores, groups: Mapping[int, str] | None) -> list[_Pool]:
    if groups is None:
        rows = ((row, tuple(look.scores[row] for look in before if row in look.scores)) for row in sorted(now.scores))
        return [_Pool((*earlier, now.scores[row])) for row, earlier in rows if earlier]
    *earlier_means, latest = [_group_means(look, groups) for look in (*before, now)]
    members = {group: tuple(means[group][0] for means in earlier_means if group in means) for group in latest}
    return [_Pool((*values, latest[group][0]), latest[group][1]) for group, values in members.items() if values]


def _group_means(look: RunScores, groups: Mapping[int, str]) -> dict[str, tuple[float, int]]:
    found: dict[str, list[float]] = {}
    for row in sorted(look.scores):
        found.setdefault(groups.get(row, f"row {row}\0"), []).append(look.scores[row])
    return {group: (sum(scores) / len(scores), len(scores)) for group, scores in found.items()}


def _p_of_right_or_wrong(pools: Sequence[_Pool]) -> float:
    """Return the probability of at most the right answers of the latest run: Poisson-binomial, by Fourier transform.

    Hong 2013, *Comput. Stat. Data Anal.* 59:41.
    """
    shares, counts = np.unique([sum(pool.values) / len(pool.values) for pool in pools], return_counts=True)
    return poisson_binomial(shares, counts, int(sum(pool.values[-1] for pool in pools)))


def poisson_binomial(shares: Numbers, counts: NDArray[np.int64], limit: int) -> float:
    """Return the probability of at most `limit` successes, with `counts[i]` trials of the probability `shares[i]`."""
    total = int(counts.sum())
    turns = np.exp(2j * np.pi * np.arange(total + 1) / (total + 1))
    transform = np.prod((1 - shares[:, np.newaxis] + shares[:, np.newaxis] * turns) ** counts[:, np.newaxis], axis=0)
    return float(np.fft.fft(transform).real[: limit + 1].sum() / (total + 1))


def _p_of_graded(pools: Sequence[_Pool]) -> float:
    """Return a Monte Carlo p value: draws of one score per row from its pool; at least 1 / (draws + 1)."""
    sizes = np.array([len(pool.values) for pool in pools])
    values = np.zeros((len(pools), sizes.max()))
    for place, pool in enumerate(pools):
        values[place, : sizes[place]] = pool.values
    weights = np.array([pool.rows for pool in pools], dtype=np.float64)
    latest = float(sum(pool.values[-1] * pool.rows for pool in pools))
    draws = min(MAX_DRAWS, max(MAX_RANDOM_NUMBERS // len(pools), 999))
    rng = np.random.default_rng([len(pools), int(sizes.sum()), int(1e6 * abs(latest))])
    as_low, rows = 0, np.arange(len(pools))
    step = max(1, 500_000 // len(pools))
    for done in range(0, draws, step):
        chosen = (rng.random((min(step, draws - done), len(pools))) * sizes).astype(np.int64)
        as_low += int((values[rows, chosen] @ weights <= latest + 1e-9).sum())
    return (1 + as_low) / (1 + draws)


def _by_means(before: Sequence[RunScores], now: RunScores) -> float:
    """Return the distance of a published mean to the earlier ones, in standard errors, for independent samples."""
    means = [look.quality for look in before if look.quality is not None]
    if not means or now.mean is None or not now.standard_error:
        return 0.0
    return float((now.mean - np.mean(means)) / (now.standard_error * np.sqrt(1 + 1 / len(means))))
