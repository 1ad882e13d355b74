"""The best model against every other one: row by row where the service gave per-row scores, else by its intervals."""

from collections.abc import Mapping, Sequence

from pareta_report import intervals, significance
from pareta_report.candidates import Candidate, membership
from pareta_report.records import Difference, Disagreement
from pareta_report.significance import ALPHA
from pareta_report.tradeoff import flip_price

MOST_DISAGREEMENTS = 100


def differences(found: Sequence[Candidate], groups: Mapping[int, str] | None = None) -> tuple[Difference, ...]:
    """Compare the first candidate with every other scored one; fewer than two scored ones give nothing."""
    scored = [candidate for candidate in found if candidate.quality is not None]
    if len(scored) < 2:
        return ()
    best, *rest = scored
    looks = significance.pairs_of(len(scored))
    pairs = [_paired(best, other, looks, groups) or _published(best, other, looks) for other in rest]
    # A pair without a test counts as one that shows nothing.
    adjusted = significance.best_against_rest([1.0 if pair.p_value is None else pair.p_value for pair in pairs])
    return tuple(_decided(pair, p, best, other) for pair, p, other in zip(pairs, adjusted, rest, strict=True))


def disagreements(found: Sequence[Candidate]) -> tuple[Disagreement, ...]:
    """Return the rows that the two highest-scoring candidates got different scores for, the largest gap first."""
    if len(found) < 2:
        return ()
    best, other = found[:2]
    rows = [row for row in best.items.keys() & other.items.keys() if best.items[row].score != other.items[row].score]
    by_gap = sorted(rows, key=lambda row: (-abs(best.items[row].score - other.items[row].score), row))
    return tuple(
        Disagreement(
            idx=row,
            best_score=best.items[row].score,
            other_score=other.items[row].score,
            best_prediction=best.items[row].prediction,
            other_prediction=other.items[row].prediction,
        )
        for row in by_gap[:MOST_DISAGREEMENTS]
    )


def _paired(best: Candidate, other: Candidate, looks: int, groups: Mapping[int, str] | None) -> Difference | None:
    rows = sorted(best.items.keys() & other.items.keys())
    if not rows:
        return None
    together = membership(groups, rows)
    gaps = best.scores(rows) - other.scores(rows)
    mean, error = float(gaps.mean()), significance.standard_error(gaps, together)
    low, high = intervals.of_difference(gaps, together)
    return Difference(
        best=best.model,
        other=other.model,
        method="paired",
        n=len(rows),
        difference=mean,
        ci_low=low,
        ci_high=high,
        p_value=significance.p_of_no_difference(gaps, together),
        detectable=significance.detectable(error, looks),
        rows_needed=significance.rows_needed(mean, error, len(rows), looks),
        flip_price_micro_usd=flip_price(best, other),
    )


def _published(best: Candidate, other: Candidate, looks: int) -> Difference:
    """Compare two published means; their samples are taken as independent, which overstates the error."""
    mean = (best.quality or 0.0) - (other.quality or 0.0)
    pair = Difference(
        best=best.model,
        other=other.model,
        method="published",
        n=min((n for n in (best.n, other.n) if n is not None), default=None),
        difference=mean,
        flip_price_micro_usd=flip_price(best, other),
    )
    if best.low is None or best.high is None or other.low is None or other.high is None:
        return pair
    errors = (
        significance.standard_error_of(best.low, best.high),
        significance.standard_error_of(other.low, other.high),
    )
    error = float((errors[0] ** 2 + errors[1] ** 2) ** 0.5)
    low, high = intervals.by_normal(mean, error)
    return pair.model_copy(
        update={
            "ci_low": low,
            "ci_high": high,
            "p_value": significance.p_by_normal(mean, error),
            "detectable": significance.detectable(error, looks),
            "rows_needed": significance.rows_needed(mean, error, pair.n, looks) if pair.n else None,
        }
    )


def _decided(pair: Difference, p_adjusted: float, best: Candidate, other: Candidate) -> Difference:
    significant = p_adjusted <= ALPHA and pair.difference > 0
    apart = pair.method == "paired" or _intervals_apart(best, other)
    adjusted = None if pair.p_value is None else p_adjusted
    return pair.model_copy(update={"p_adjusted": adjusted, "distinguishable": significant and apart})


def _intervals_apart(best: Candidate, other: Candidate) -> bool:
    if best.low is None or other.high is None:
        return False
    # Whether a published mean leaves errored rows out is unknown, so the best one is taken at its worst.
    answered = 1 - (best.errors or 0) / best.n if best.n else 1.0
    return best.low * answered > other.high
