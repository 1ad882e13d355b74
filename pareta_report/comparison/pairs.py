"""Differences of two models: paired by row, or by published intervals without per-row scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, hypot

import numpy as np
from numpy.typing import NDArray

from pareta_report.comparison.candidates import membership
from pareta_report.comparison.results import Answered, Difference
from pareta_report.comparison.tradeoff import flip_price
from pareta_report.comparison.valid_results import Candidate
from pareta_report.stats import intervals, power, significance
from pareta_report.stats.bounded_mean import Scores, mean_of, units_of
from pareta_report.stats.significance import ALPHA


@dataclass(frozen=True, slots=True)
class Gaps:
    """The differences of two models by row: as scored, and the lowest and highest possible values.

    These differ on rows without an answer of either model, which could have been right or wrong. `row_groups` is the
    group of each row, None without groups.
    """

    scored: Scores
    lows: Scores
    highs: Scores
    row_groups: list[str] | None
    answered: NDArray[np.bool_]

    @property
    def groups(self) -> int | None:
        """Number of groups; None without groups."""
        return None if self.row_groups is None else len(set(self.row_groups))

    @property
    def rerun(self) -> int:
        """Number of rows without an answer of either model."""
        return int(self.answered.size - self.answered.sum())


def gaps_of(one: Candidate, other: Candidate, groups: Mapping[int, str] | None = None) -> Gaps | None:
    """Return the differences of two models on their common rows; None without per-row scores of both."""
    rows = sorted(one.items.keys() & other.items.keys())
    if not rows:
        return None
    return Gaps(
        scored=one.scores(rows) - other.scores(rows),
        lows=one.scores(rows) - other.scores(rows, unanswered=1.0),
        highs=one.scores(rows, unanswered=1.0) - other.scores(rows),
        row_groups=membership(groups, rows),
        answered=np.array([one.answered(row) and other.answered(row) for row in rows]),
    )


def best_against_rest(found: Sequence[Candidate], groups: Mapping[int, str] | None = None) -> tuple[Difference, ...]:
    """Compare the candidate with the highest score with every other one; empty with fewer than two scored.

    A pair is distinguishable only if the best candidate leads: on the common rows it may also trail.
    """
    scored = [candidate for candidate in found if candidate.quality is not None]
    if len(scored) < 2:
        return ()
    best, *rest = scored
    tests = significance.pairs_of(len(scored))
    pairs = [_compared(best, other, tests, groups) for other in rest]
    adjusted = significance.best_against_rest(_p_values(pairs))
    decided = [_decided(pair, p, best, other) for pair, p, other in zip(pairs, adjusted, rest, strict=True)]
    return tuple(d.model_copy(update={"distinguishable": d.distinguishable and d.difference > 0}) for d in decided)


def against(
    baseline: Candidate | None, found: Sequence[Candidate], groups: Mapping[int, str] | None = None
) -> tuple[Difference, ...]:
    """Compare every other scored candidate with the baseline; either of a pair may be the better one."""
    if baseline is None:
        return ()
    others = [candidate for candidate in found if candidate.quality is not None and candidate is not baseline]
    rivals = sum(candidate.kind == "frontier" for candidate in others)
    # The baseline was selected as the best frontier model on these rows: any of them could have been the baseline.
    tests = significance.pairs_of(len(others) + 1) - significance.pairs_of(len(others) - rivals)
    pairs = [_compared(other, baseline, tests, groups) for other in others]
    adjusted = significance.holm(_p_values(pairs), tests)
    return tuple(_decided(pair, p, other, baseline) for pair, p, other in zip(pairs, adjusted, others, strict=True))


def _compared(one: Candidate, other: Candidate, tests: int, groups: Mapping[int, str] | None) -> Difference:
    return _paired(one, other, tests, groups) or _published(one, other, tests)


def _paired(one: Candidate, other: Candidate, tests: int, groups: Mapping[int, str] | None) -> Difference | None:
    gaps = gaps_of(one, other, groups)
    if gaps is None:
        return None
    low, high = intervals.of_gaps(gaps.lows, gaps.highs, gaps.row_groups)
    detectable, needed = _sensitivity(gaps, tests)
    return Difference(
        model=one.model,
        other=other.model,
        method="paired",
        n=gaps.scored.size,
        groups=gaps.groups,
        difference=float(gaps.scored.mean()),
        ci_low=low,
        ci_high=high,
        p_value=significance.p_of_gaps(gaps.lows, gaps.highs, gaps.row_groups),
        detectable=detectable,
        rows_needed=needed,
        rerun=gaps.rerun,
        answered=_on_answered(gaps),
    )


def _on_answered(gaps: Gaps) -> Answered | None:
    """Compare on the rows that both answered; None if these are all rows or none."""
    both = gaps.scored[gaps.answered]
    if not gaps.rerun or not both.size:
        return None
    names = gaps.row_groups
    row_groups = names and [name for name, answered in zip(names, gaps.answered, strict=True) if answered]
    low, high = intervals.of_difference(both, row_groups)
    return Answered(n=both.size, difference=float(both.mean()), ci_low=low, ci_high=high)


def _sensitivity(gaps: Gaps, tests: int) -> tuple[float | None, int | None]:
    """Return the difference detectable with 80 % power, and the rows needed to detect the observed one."""
    size = gaps.scored.size
    if gaps.row_groups is None and not gaps.rerun and intervals.all_in(gaps.scored, (-1.0, 0.0, 1.0)):
        better, worse = (float((gaps.scored * sign > 0).mean()) for sign in (1, -1))
        return power.detectable(size, better + worse, tests), power.rows_needed(better, worse, tests)
    ahead = float(gaps.scored.mean()) >= 0
    units = units_of(gaps.lows if ahead else -gaps.highs, gaps.row_groups)
    adverse = abs(float(gaps.scored.mean())) - float(mean_of(units))
    detectable = power.detectable_mean(units, adverse, tests) if power.can_show(units) else None
    needed = power.units_needed(units, 0.0, -1.0, ALPHA / 2 / tests) if power.can_plan(units) else None
    return detectable, needed and ceil(needed * size / float(units.weights.sum()))


def _published(one: Candidate, other: Candidate, tests: int) -> Difference:
    """Compare two published means as independent samples, which overstates the error."""
    mean = (one.quality or 0.0) - (other.quality or 0.0)
    pair = Difference(
        model=one.model,
        other=other.model,
        method="published",
        n=min((n for n in (one.n, other.n) if n is not None), default=None),
        difference=mean,
    )
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return pair
    error = hypot(*(significance.standard_error_of(*ends) for ends in ((one.low, one.high), (other.low, other.high))))
    low, high = intervals.by_normal(mean, error)
    return pair.model_copy(
        update={
            "ci_low": max(low, -1.0),
            "ci_high": min(high, 1.0),
            "p_value": significance.p_by_normal(mean, error),
            "detectable": power.detectable_by_normal(error, tests),
            "rows_needed": power.rows_needed_by_normal(mean, error, pair.n, tests) if pair.n else None,
        }
    )


def _p_values(pairs: Sequence[Difference]) -> list[float]:
    """Return the p values; 1 for a pair without a test."""
    return [1.0 if pair.p_value is None else pair.p_value for pair in pairs]


def _decided(pair: Difference, p_adjusted: float, one: Candidate, other: Candidate) -> Difference:
    better, worse = (one, other) if pair.difference > 0 else (other, one)
    # Test and interval may disagree at the boundary: a difference must be shown by both.
    apart = _excludes_zero(pair) if pair.method == "paired" else _intervals_apart(better, worse)
    adjusted = None if pair.p_value is None else p_adjusted
    decided = pair.model_copy(update={"p_adjusted": adjusted, "distinguishable": p_adjusted <= ALPHA and apart})
    flip = flip_price(one, other, decided)
    return decided if flip is None else decided.model_copy(update=flip._asdict())


def _excludes_zero(pair: Difference) -> bool:
    """Return whether the interval is on the side of the difference as scored."""
    if pair.ci_low is None or pair.ci_high is None:
        return False
    return pair.ci_low > 0 if pair.difference > 0 else pair.ci_high < 0


def _intervals_apart(better: Candidate, worse: Candidate) -> bool:
    if better.low is None or worse.high is None:
        return False
    # It is unknown whether a published mean excludes rows without an answer: assume the worst case for each model.
    return better.low * (1 - better.no_answer) > min(1.0, worse.high * (1 - worse.no_answer) + worse.no_answer)
