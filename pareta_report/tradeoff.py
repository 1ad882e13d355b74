"""Quality against cost: who is dominated, what a model saves, and at which price of an error the ranking flips."""

from collections.abc import Sequence

from pareta_report.candidates import Candidate


def dominator(candidate: Candidate, others: Sequence[Candidate]) -> str | None:
    """Name the model that scored at least as high for at most the same cost, and is better in one of the two."""
    better = [other for other in others if _dominates(other, candidate)]
    # The best of them, so that the name given is itself on the front.
    return min(better, key=lambda c: (-(c.quality or 0.0), c.mean_cost or 0.0, c.model)).model if better else None


def baseline_of(found: Sequence[Candidate]) -> Candidate | None:
    """Return the highest-scoring frontier model with a known cost: what one would use otherwise."""
    frontier = [c for c in found if c.kind == "frontier" and c.quality is not None and c.mean_cost]
    return min(frontier, key=lambda c: (-(c.quality or 0.0), c.mean_cost or 0.0, c.model), default=None)


def saving(candidate: Candidate, baseline: Candidate | None) -> float | None:
    """Return the share of the baseline's unit cost saved, from micro-USD; negative when it costs more."""
    if baseline is None or candidate.mean_cost is None or not baseline.mean_cost or candidate is baseline:
        return None
    return 1 - candidate.mean_cost / baseline.mean_cost


def flip_price(one: Candidate, other: Candidate) -> float | None:
    """Return the price of one wrong answer, in micro-USD, at which both models cost the same all in all.

    From `cost + price × (1 − quality)` of both; None unless the better one also costs more.
    """
    if None in (one.quality, other.quality, one.mean_cost, other.mean_cost):
        return None
    gain = (one.quality or 0.0) - (other.quality or 0.0)
    extra = (one.mean_cost or 0.0) - (other.mean_cost or 0.0)
    return extra / gain if gain * extra > 0 else None


def _dominates(one: Candidate, other: Candidate) -> bool:
    if one.quality is None or other.quality is None or one.mean_cost is None or other.mean_cost is None:
        return False
    at_least = one.quality >= other.quality and one.mean_cost <= other.mean_cost
    return at_least and (one.quality > other.quality or one.mean_cost < other.mean_cost)
