"""Trade-off of quality and cost: dominated models, savings, and the break-even price of an error."""

from collections.abc import Sequence
from typing import NamedTuple

from pareta_report.comparison.results import Difference
from pareta_report.comparison.valid_results import Candidate


class FlipPrice(NamedTuple):
    """The price of one wrong answer (micro-USD) at which two models have the same total cost, with a 95 % interval."""

    flip_price_micro_usd: float
    flip_low_micro_usd: float
    flip_high_micro_usd: float


def dominator(candidate: Candidate, others: Sequence[Candidate]) -> str | None:
    """Return a model with at least the same quality for at most the same cost, and better in one of the two."""
    better = [other for other in others if _dominates(other, candidate)]
    # The best of them is on the Pareto front.
    return min(better, key=lambda c: (-(c.quality or 0.0), c.mean_cost or 0.0, c.model)).model if better else None


def baseline_of(found: Sequence[Candidate]) -> Candidate | None:
    """Return the frontier model with the highest quality if its rows without an answer count as right.

    So an outage of the best model does not make a weaker one the baseline.
    """
    frontier = [c for c in found if c.kind == "frontier" and c.at_best is not None]
    return min(frontier, key=lambda c: (-(c.at_best or 0.0), -(c.quality or 0.0), _cost(c), c.model), default=None)


def saving(candidate: Candidate, baseline: Candidate | None) -> float | None:
    """Return the share of the baseline's mean cost that a model saves; negative if it costs more."""
    if baseline is None or candidate.mean_cost is None or not baseline.mean_cost or candidate is baseline:
        return None
    return 1 - candidate.mean_cost / baseline.mean_cost


def flip_price(one: Candidate, other: Candidate, pair: Difference) -> FlipPrice | None:
    """Return the price of one wrong answer at which both models have the same `cost + price × (1 − quality)`.

    The interval is Fieller's (J. R. Stat. Soc. B 16:175, 1954) for any correlation of cost and quality: the ends of the
    cost difference over those of the quality difference. None unless the pair is distinguishable, both costs have an
    interval, and the better model costs more.
    """
    if not pair.distinguishable or pair.ci_low is None or pair.ci_high is None:
        return None
    better, worse = (one, other) if pair.difference > 0 else (other, one)
    gains = sorted((abs(pair.ci_low), abs(pair.ci_high)))
    if better.mean_cost is None or worse.mean_cost is None or better.mean_cost <= worse.mean_cost:
        return None
    if None in (better.cost_low, better.cost_high, worse.cost_low, worse.cost_high):
        return None
    least = max(0.0, (better.cost_low or 0.0) - (worse.cost_high or 0.0))
    most = (better.cost_high or 0.0) - (worse.cost_low or 0.0)
    price = (better.mean_cost - worse.mean_cost) / abs(pair.difference)
    return FlipPrice(price, least / gains[1], most / gains[0])


def _cost(candidate: Candidate) -> float:
    return float("inf") if candidate.mean_cost is None else candidate.mean_cost


def _dominates(one: Candidate, other: Candidate) -> bool:
    if one.quality is None or other.quality is None or one.mean_cost is None or other.mean_cost is None:
        return False
    at_least = one.quality >= other.quality and one.mean_cost <= other.mean_cost
    return at_least and (one.quality > other.quality or one.mean_cost < other.mean_cost)
