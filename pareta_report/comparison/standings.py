"""The verdict on every model against the baseline: as good (within the margin), worse, or open.

"As good" is a non-inferiority test at 2.5 %, one-sided, corrected by Holm over all models compared with the baseline.
Rows without an answer count as right for the baseline and as wrong for the model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from pareta_batch import quantity
from pareta_report.comparison.pairs import Gaps, gaps_of
from pareta_report.comparison.results import Difference, Standing
from pareta_report.comparison.tradeoff import saving
from pareta_report.comparison.valid_results import Candidate
from pareta_report.render import about, points
from pareta_report.stats import power
from pareta_report.stats.bounded_mean import lower_bound, p_at_most, units_of
from pareta_report.stats.significance import ALPHA, holm

ONE_SIDED = ALPHA / 2
"""Level of a lower bound: the lower end of a 95 % interval."""


def standings(
    found: Sequence[Candidate],
    baseline: Candidate,
    pairs: Sequence[Difference],
    groups: Mapping[int, str] | None,
    margin: float,
) -> tuple[Standing, ...]:
    """Return the verdict on every model that was compared with the baseline, the cheapest first."""
    models = {candidate.model: candidate for candidate in found}
    bounds = [_bound(models[pair.model], baseline, groups) for pair in pairs]
    adjusted = holm([bound.p(margin) if bound else 1.0 for bound in bounds])
    found_standings = [
        _standing(pair, bound, p, len(pairs), margin, saving(models[pair.model], baseline))
        for pair, bound, p in zip(pairs, bounds, adjusted, strict=True)
    ]
    return tuple(sorted(found_standings, key=lambda standing: _cost(models[standing.model])))


def _standing(
    pair: Difference, bound: "ByRow | Published | None", p: float, family: int, margin: float, saved: float | None
) -> Standing:
    shown = Standing(
        model=pair.model,
        word="open",
        difference=pair.difference,
        n=pair.n,
        groups=pair.groups,
        rerun=pair.rerun,
        saving=saved,
    )
    if bound is None:
        return shown.model_copy(update={"reason": "it cannot be compared with the baseline row by row"})
    lower = bound.lower(ONE_SIDED / family)
    good = p <= ONE_SIDED
    # Guilbaud, Biometrical J. 50:678, 2008: for a hypothesis rejected by Holm, the bound is the margin.
    worst = max(lower, -margin) if good else lower
    known = shown.model_copy(
        update={
            "lower": lower,
            "at_most": max(0.0, -worst),
            "p_adjusted": p,
        }
    )
    if good or pair.verdict == "worse":
        return known.model_copy(update={"word": "as good" if good else "worse"})
    needed = bound.rows_needed(margin, ONE_SIDED / family)
    return known.model_copy(update={"rows_needed": needed, "reason": _why_open(pair, needed, margin)})


def _why_open(pair: Difference, needed: int | None, margin: float) -> str:
    if pair.rerun:
        return f"run the {quantity(pair.rerun, 'row')} without an answer again{difference_if_answered(pair)}"
    if needed is None and pair.difference < -margin:
        return f"it is {points(-pair.difference)} points behind here, not shown to be worse"
    if needed is None:
        return f"{_sample(pair)} cannot show it to be as good within {points(margin)} points"
    return (
        f"about {about(needed)} rows would show it to be as good within {points(margin)} points, if it is as seen here"
    )


def difference_if_answered(pair: Difference) -> str:
    """Return the difference on the rows that both models answered, as text; empty if these are all rows."""
    if pair.answered is None:
        return ""
    both = pair.answered
    where = "ahead" if both.difference > 0 else "behind"
    bounds = f"{points(both.ci_low)} to {points(both.ci_high)}"
    return (
        f"; on the {quantity(both.n, 'row')} that both answered {pair.model} is {points(abs(both.difference))} points"
        f" {where}, 95 % interval {bounds}"
    )


def _sample(pair: Difference) -> str:
    rows = quantity(pair.n or 0, "row")
    return rows if pair.groups is None else f"{rows} in {quantity(pair.groups, 'group')}"


def _bound(one: Candidate, baseline: Candidate, groups: Mapping[int, str] | None) -> "ByRow | Published | None":
    gaps = gaps_of(one, baseline, groups)
    if gaps is not None:
        return ByRow(gaps)
    # Without per-row scores the correlation of the rows of a group is unknown.
    return Published(one, baseline) if not groups and one.n and baseline.n else None


@dataclass(frozen=True, slots=True)
class ByRow:
    """The bound from the differences by row; rows without an answer count against the model."""

    gaps: Gaps

    def p(self, margin: float) -> float:
        """Return the p value of "it is worse by at least the margin"."""
        return p_at_most(units_of(self.gaps.lows, self.gaps.row_groups), -margin, -1.0)

    def lower(self, alpha: float) -> float:
        """Return the lower bound of the difference; the true one is below it with probability `alpha`."""
        return lower_bound(units_of(self.gaps.lows, self.gaps.row_groups), -1.0, alpha)

    def rows_needed(self, margin: float, alpha: float) -> int | None:
        """Return the rows that show it to be as good, with the same share of rows without an answer."""
        units = units_of(self.gaps.lows, self.gaps.row_groups)
        needed = power.units_needed(units, -margin, -1.0, alpha) if power.can_plan(units) else None
        return needed and ceil(needed * self.gaps.lows.size / float(units.weights.sum()))


@dataclass(frozen=True, slots=True)
class Published:
    """The bound from two published means, with samples assumed independent.

    Each end is the wider one of the published interval and the exact interval of the same share of right answers: the
    method of a published interval is unknown.
    """

    one: Candidate
    baseline: Candidate

    def p(self, margin: float) -> float:
        """Return the smallest level at which the bound reaches the margin, to a factor of 1.1."""
        level = 1.0
        while level > 1e-9 and self.lower(level / 1.1) >= -margin:
            level /= 1.1
        return level

    def lower(self, alpha: float) -> float:
        """Return the lower bound of the difference, half of `alpha` to either mean."""
        best = 1 - self.baseline.no_answer
        worst_baseline = 1 - _least(1 - (self.baseline.quality or 0.0), self._other_end, self.baseline, alpha / 2)
        mine = _least(self.one.quality or 0.0, self.one.low, self.one, alpha / 2) * (1 - self.one.no_answer)
        return mine - min(1.0, worst_baseline * best + self.baseline.no_answer)

    def rows_needed(self, margin: float, alpha: float) -> int | None:
        """Return None: the rows needed are unknown without per-row scores."""
        return None

    @property
    def _other_end(self) -> float | None:
        return None if self.baseline.high is None else 1 - self.baseline.high


def _least(quality: float, low: float | None, candidate: Candidate, alpha: float) -> float:
    """Return a lower bound of a published mean, wide enough for right-or-wrong scores on the rows answered."""
    from scipy.special import betaincinv
    from scipy.stats import norm

    answered = (candidate.n or 0) - (candidate.errors or 0)
    right = quality * answered
    exact = float(betaincinv(right, answered - right + 1, alpha)) if right > 0 else 0.0
    if low is None:
        return exact
    published = quality - (quality - low) * float(norm.isf(alpha) / norm.isf(ONE_SIDED))
    return min(exact, max(published, 0.0))


def _cost(candidate: Candidate) -> tuple[float, str]:
    return (float("inf") if candidate.mean_cost is None else candidate.mean_cost), candidate.model
