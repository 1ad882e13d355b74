"""Samples whose truth is known, many at a time, to count how often a claim about them is false.

A world draws `samples` samples of `units` units (rows, or groups of rows): the sum of each unit's differences, in a
true mean of `mean` a row, and its number of rows. A sample is tested by the very functions that the report uses.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

import numpy as np
from scipy.special import ndtr

from pareta_report.stats import power
from pareta_report.stats.bounded_mean import Scores, Units, tail

Rng: TypeAlias = np.random.Generator


class Samples(NamedTuple):
    """Sums and sizes of the units, samples by units."""

    sums: Scores
    sizes: Scores


World: TypeAlias = Callable[[Rng, Scores, float], Scores]
"""From a generator, sizes (samples by units) and the true mean: the sums of the units."""


def p_at_most(samples: Samples, mean: float, lowest: float = -1.0) -> Scores:
    """Return the p value of "the mean is at most `mean`" for every sample."""
    p: Scores = ndtr(tail(Units(*samples, np.ones_like(samples.sums)), mean, lowest).z)
    return p


def drawn(world: str, sizes: str, samples: int, units: int, rows: int, mean: float) -> Samples:
    """Draw samples; the same ones for the same arguments."""
    rng = np.random.default_rng(abs(hash_of(world, sizes, units, rows, mean)))
    each = SIZES[sizes](rng, samples, units, rows)
    return Samples(WORLDS[world](rng, each, mean), each)


def hash_of(*what: object) -> int:
    """Return a seed that is the same in every process."""
    import zlib

    return zlib.crc32(repr(what).encode())


def alike(rng: Rng, samples: int, units: int, rows: int) -> Scores:
    """Return units of the same size."""
    return np.full((samples, units), max(1.0, round(rows / units)))


def half_in_one(rng: Rng, samples: int, units: int, rows: int) -> Scores:
    """Return units of which the first has half of all rows."""
    sizes = alike(rng, samples, units, rows)
    sizes[:, 0] = sizes[:, 1:].sum(axis=1)
    return sizes


def geometric(rng: Rng, samples: int, units: int, rows: int) -> Scores:
    """Return units each four fifths as large as the one before."""
    shares = 0.8 ** np.arange(units)
    sizes: Scores = np.tile(np.maximum(1.0, np.round(rows * shares / shares.sum())), (samples, 1))
    return sizes


def lognormal(rng: Rng, samples: int, units: int, rows: int) -> Scores:
    """Return units whose sizes are drawn anew in every sample."""
    sizes: Scores = np.maximum(1.0, np.round(rng.lognormal(0, 1, (samples, units)) * rows / units / np.exp(0.5)))
    return sizes


def coins(rng: Rng, sizes: Scores, mean: float) -> Scores:
    """Return right-or-wrong scores: the rows differ independently, one in ten or so."""
    whole = sizes.astype(int)
    better = rng.binomial(whole, 0.08 + max(mean, 0.0))
    worse = rng.binomial(whole - better, (0.08 + max(-mean, 0.0)) / (1 - 0.08 - max(mean, 0.0)))
    return (better - worse).astype(np.float64)


def only_worse(rng: Rng, sizes: Scores, mean: float) -> Scores:
    """Return right-or-wrong scores of a model that is never the better one."""
    sums: Scores = np.sign(mean) * rng.binomial(sizes.astype(int), abs(mean)).astype(np.float64)
    return sums


def whole_groups(rng: Rng, sizes: Scores, mean: float) -> Scores:
    """Return units whose rows all agree: better, worse or level."""
    luck = rng.random(sizes.shape)
    better, worse = 0.08 + max(mean, 0.0), 0.08 + max(-mean, 0.0)
    return sizes * ((luck < better) * 1.0 - (luck > 1 - worse))


def rare_failure(rng: Rng, sizes: Scores, mean: float) -> Scores:
    """Return units that agree in all but a rare one, which fails in every row."""
    sums: Scores = np.sign(mean) * sizes * (rng.random(sizes.shape) < abs(mean))
    return sums


def hidden_failure(rng: Rng, sizes: Scores, mean: float) -> Scores:
    """Return graded units a little ahead, and one in 30 or so that fails in every row and takes it all away."""
    failing = 1 / 30
    ahead = (failing + mean) / (1 - failing)
    sums: Scores = sizes * np.where(rng.random(sizes.shape) < failing, -1.0, ahead)
    return sums


def graded(rng: Rng, sizes: Scores, mean: float) -> Scores:
    """Return graded units: each has an effect of its own, and every row its own luck."""
    effect = rng.uniform(-0.4, 0.4, sizes.shape)
    return sizes * (mean + effect) + rng.uniform(-0.3, 0.3, sizes.shape) * np.sqrt(sizes)


def nearly_alike(rng: Rng, sizes: Scores, mean: float) -> Scores:
    """Return graded units that differ by hardly more than the mean."""
    return sizes * (mean + rng.uniform(-0.03, 0.03, sizes.shape))


def skewed(rng: Rng, sizes: Scores, mean: float) -> Scores:
    """Return graded units, most a little ahead of the mean and few far behind."""
    behind = np.minimum(rng.exponential(0.1, sizes.shape), 0.8)
    sums: Scores = sizes * (mean + 0.1 * (1 - np.exp(-8)) - behind)
    return sums


def overdispersed(rng: Rng, sizes: Scores, mean: float) -> Scores:
    """Return right-or-wrong scores whose share of wrong ones differs from unit to unit (beta-binomial)."""
    whole = sizes.astype(int)
    worse = rng.binomial(whole, rng.beta(2, 18, sizes.shape))
    return (rng.binomial(whole, 0.1 + mean) - worse).astype(np.float64)


SIZES: Mapping[str, Callable[[Rng, int, int, int], Scores]] = {
    "alike": alike,
    "half in one": half_in_one,
    "geometric": geometric,
    "lognormal": lognormal,
}
WORLDS: Mapping[str, World] = {
    "coins": coins,
    "only worse": only_worse,
    "whole groups": whole_groups,
    "rare failure": rare_failure,
    "hidden failure": hidden_failure,
    "graded": graded,
    "nearly alike": nearly_alike,
    "skewed": skewed,
    "overdispersed": overdispersed,
}


def false_passes(world: str, sizes: str, units: int, rows: int, margin: float, samples: int) -> float:
    """Return the share of samples in which a model exactly at the margin passes the gate as the only candidate."""
    return float((p_at_most(drawn(world, sizes, samples, units, rows, -margin), -margin) <= 0.025).mean())


def coverage(world: str, sizes: str, units: int, rows: int, mean: float, samples: int) -> float:
    """Return the share of samples whose 95 % interval of a difference holds the true mean."""
    found = drawn(world, sizes, samples, units, rows, mean)
    below = p_at_most(found, mean) > 0.025
    above = p_at_most(found._replace(sums=-found.sums), -mean) > 0.025
    return float((below & above).mean())


def power_of_needed(world: str, units: int, at: float, tests: int, samples: int) -> tuple[int, float]:
    """Return the units said to show that the mean is above `at`, and how often that many do.

    The truth is a pilot of `units` groups, from which the samples are drawn.
    """
    pilot = _pilot(world, units, 0.05 if at == 0 else 0.02)
    needed = power.units_needed(pilot, at, -1.0, 0.025 / tests) or 0
    return needed, _shown(pilot, needed, at, tests, samples)


def power_of_detectable(world: str, units: int, tests: int, samples: int) -> float:
    """Return how often the difference that a pilot is said to show is shown by a sample as large."""
    pilot = _pilot(world, units, 0.05)
    difference = power.detectable_mean(pilot, 0.0, tests) or 0.0
    return _shown(power.moved(pilot, difference), units, 0.0, tests, samples)


def _pilot(world: str, units: int, mean: float) -> Units:
    drawn_once = drawn(world, "alike", 1, units, 5 * units, mean)
    return power.moved(Units(drawn_once.sums[0], drawn_once.sizes[0], np.ones(units)), mean)


def _shown(pilot: Units, units: int, at: float, tests: int, samples: int) -> float:
    chosen = np.random.default_rng(units).integers(0, pilot.sums.size, (samples, units))
    p = p_at_most(Samples(pilot.sums[chosen], pilot.sizes[chosen]), at)
    return float((p <= 0.025 / tests).mean())
