"""The verdict of a comparison, as a kind and as sentences."""

from collections.abc import Sequence

from pareta_batch import quantity
from pareta_report.comparison.recommendation import against_baseline_text
from pareta_report.comparison.results import COARSE, MARGIN, ComparisonVerdict, Difference, Recommendation, VerdictKind
from pareta_report.comparison.standings import difference_if_answered
from pareta_report.comparison.valid_results import Candidate
from pareta_report.render import about, listing, percent, points, unit_cost

MIN_LEAD = 0.0005
"""Smallest lead of a winner: a smaller one would be displayed as 0.0 points."""


def verdict_of(
    found: Sequence[Candidate],
    differences: Sequence[Difference],
    recommendation: Recommendation | None = None,
    margin: float = MARGIN,
) -> ComparisonVerdict:
    """Return the winner of a completed run, or the reason for no winner, and the recommendation.

    A winner is better than every other model by at least the margin.
    """
    verdict = _verdict_of(found, differences, max(margin, MIN_LEAD))
    against_baseline = recommendation and against_baseline_text(recommendation)
    return verdict.model_copy(update={"against_baseline": against_baseline})


def _verdict_of(found: Sequence[Candidate], differences: Sequence[Difference], margin: float) -> ComparisonVerdict:
    scored = [candidate for candidate in found if candidate.quality is not None]
    if not differences:
        return ComparisonVerdict(kind="no_data", sentence=_nothing_to_compare(scored))
    if len(scored) == len(found) and all(pair.distinguishable for pair in differences):
        closest = min(differences, key=lambda pair: pair.difference)
        if closest.difference < margin:
            return ComparisonVerdict(kind="not_distinguishable", sentence=_ahead_by_little(scored, closest, margin))
        return ComparisonVerdict(kind="winner", winner=scored[0].model, sentence=_winner(scored, differences))
    pair = _deciding(scored, differences)
    kind: VerdictKind = "too_few_rows" if pair and pair.verdict == "too few rows" else "not_distinguishable"
    return ComparisonVerdict(kind=kind, sentence=_open(found, scored, differences))


def no_verdict(why: str) -> ComparisonVerdict:
    """Return the verdict of a comparison that was not completed."""
    return ComparisonVerdict(kind="no_data", sentence=f"There is nothing to compare: {why.rstrip('.')}.")


def _nothing_to_compare(scored: Sequence[Candidate]) -> str:
    if not scored:
        return "No model was scored, so there is nothing to compare."
    only = scored[0]
    return f"Only {only.model} was scored ({percent(only.quality)}), so there is nothing to compare it with."


def _winner(scored: Sequence[Candidate], differences: Sequence[Difference]) -> str:
    best, closest = scored[0], min(differences, key=lambda pair: pair.difference)
    beaten = closest.other if len(differences) == 1 else f"all {len(differences)} others"
    ahead = f"{points(closest.difference)} points ahead of {closest.other}{_range(closest, ' (95 % interval {})')}"
    sentence = f"{best.model} is better than {beaten}: {percent(best.quality)}, {ahead}, {_method(closest)}."
    return f"{sentence} {_cost_of_winning(scored)}".strip()


def _open(found: Sequence[Candidate], scored: Sequence[Candidate], differences: Sequence[Difference]) -> str:
    best = scored[0]
    pair = _deciding(scored, differences)
    if pair is None:
        unscored = [candidate.model for candidate in found if candidate.quality is None]
        return f"{best.model} is better than every other scored model, but {listing(unscored)} could not be scored."
    names = [pair.other for pair in differences if not pair.distinguishable]
    alike = [candidate for candidate in scored if candidate.model in {best.model, *names}]
    sentences = [
        f"{best.model} scored highest ({percent(best.quality)}) but is not distinguishable from {listing(names)}"
        f" ({_method(pair)}).",
        _who_is_cheapest(alike),
        _could_still_differ(pair, alike),
        _behind([pair.other for pair in differences if pair.distinguishable]),
        _too_few_rows(pair),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _deciding(scored: Sequence[Candidate], differences: Sequence[Difference]) -> Difference | None:
    """Return the deciding pair: the best model and the cheapest one not distinguishable from it."""
    undecided = [pair for pair in differences if not pair.distinguishable]
    names = {scored[0].model, *(pair.other for pair in undecided)}
    alike = [candidate for candidate in scored if candidate.model in names]
    cheapest = _cheapest(alike) if undecided else None
    return next((pair for pair in undecided if pair.other == cheapest), undecided[0] if undecided else None)


def _ahead_by_little(scored: Sequence[Candidate], closest: Difference, margin: float) -> str:
    ahead = f"{points(closest.difference)} points ahead of {closest.other}{_range(closest, ' (95 % interval {})')}"
    return (
        f"{scored[0].model} is better than every other, but only {ahead}, {_method(closest)}:"
        f" less than the margin of {points(margin)} points, so there is no winner in practice."
        f" {_cost_of_winning(scored)}".rstrip()
    )


def _could_still_differ(pair: Difference, alike: Sequence[Candidate]) -> str:
    name, cost = pair.other, next(c.mean_cost for c in alike if c.model == pair.other)
    if name == _cheapest(alike):
        name = f"The cheapest of them, {name} ({unit_cost(cost)} per 1,000 requests),"
    gap = f"{points(pair.difference)} points behind {pair.model}" if pair.difference else f"level with {pair.model}"
    still = _range(pair, ", with a 95 % interval of {}")
    alone = ", which is not significant after correction for selecting the best model" if _excludes_zero(pair) else ""
    return f"{name} is {gap} here{still}{alone}."


def _excludes_zero(pair: Difference) -> bool:
    return pair.ci_low is not None and pair.ci_low > 0


def _behind(names: Sequence[str]) -> str:
    return f"{listing(names)} {'is' if len(names) == 1 else 'are'} worse." if names else ""


def _cheapest(alike: Sequence[Candidate]) -> str | None:
    """Return the model with the lowest cost; None if a cost is unknown or the lowest is shared."""
    costs = sorted(float("-inf") if c.mean_cost is None else c.mean_cost for c in alike)
    if costs[0] == float("-inf") or costs[0] == costs[1]:
        return None
    return next(c.model for c in alike if c.mean_cost == costs[0])


def _who_is_cheapest(alike: Sequence[Candidate]) -> str:
    """Return the models with the lowest cost as text; empty if the next sentence is about that one model."""
    if any(c.mean_cost is None for c in alike):
        return "Which of them is cheapest is unknown: a cost is missing."
    least = min(c.mean_cost or 0.0 for c in alike)
    cheapest = [c.model for c in alike if c.mean_cost == least]
    if len(cheapest) > 1:
        return f"{listing(cheapest)} cost the least of them, {unit_cost(least)} per 1,000 requests."
    if cheapest[0] == alike[0].model:
        return f"It is also the cheapest of them, {unit_cost(least)} per 1,000 requests."
    return ""


def _too_few_rows(pair: Difference) -> str:
    if pair.rerun:
        rows = f"{quantity(pair.rerun, 'row')} without an answer could decide it"
        return f"{rows}; run them again{difference_if_answered(pair)}."
    if pair.n is None:
        return ""
    needed = f"; to detect the observed one takes about {about(pair.rows_needed)} rows" if pair.rows_needed else ""
    if pair.detectable is None:
        sample = quantity(pair.n, "row") if pair.groups is None else quantity(pair.groups, "group")
        few = pair.verdict == "too few rows"
        return f"Too few rows: the difference that {sample} can detect is unknown{needed}." if few else ""
    shows = f"{quantity(pair.n, 'row')} can detect a difference of about {points(pair.detectable)} points or more"
    return f"{'Too few rows: ' if pair.detectable > COARSE else ''}{shows}{needed}."


def _cost_of_winning(scored: Sequence[Candidate]) -> str:
    best, *others = scored
    priced = [c for c in others if c.mean_cost]
    if not best.mean_cost or len(priced) < len(others):
        return ""
    cheapest = min(priced, key=lambda c: c.mean_cost or 0.0)
    times = best.mean_cost / (cheapest.mean_cost or 1.0)
    if times > 1:
        return f"It costs {times:.1f} times as much per request as the cheapest, {cheapest.model}."
    how = "also the cheapest" if times < 1 else "as cheap as any"
    return f"It is {how}, {unit_cost(best.mean_cost)} per 1,000 requests."


def _method(pair: Difference) -> str:
    if pair.method == "paired":
        return f"paired over {quantity(pair.n or 0, 'row')}"
    if pair.ci_low is None:
        return "the service gave no intervals"
    return "by the published intervals, without per-row scores"


def _range(pair: Difference, sentence: str) -> str:
    if pair.ci_low is None or pair.ci_high is None:
        return ""
    return sentence.format(f"{points(pair.ci_low)} to {points(pair.ci_high)}")
