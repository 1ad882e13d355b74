"""The verdict of a comparison in one word and a few sentences that never say more than the scores do."""

from collections.abc import Sequence

from pareta_report.candidates import Candidate
from pareta_report.records import COARSE, ComparisonVerdict, Difference, VerdictKind
from pareta_report.tradeoff import saving
from pareta_report.wording import count, listing, percent, points, unit_cost


def verdict_of(
    found: Sequence[Candidate], differences: Sequence[Difference], to_baseline: Sequence[Difference] = ()
) -> ComparisonVerdict:
    """Say who won a completed run, or why nobody can be said to have, and how the open models do to the baseline."""
    verdict = _verdict_of(found, differences)
    return verdict.model_copy(update={"against_baseline": _beside_baseline(found, to_baseline)})


def _verdict_of(found: Sequence[Candidate], differences: Sequence[Difference]) -> ComparisonVerdict:
    scored = [candidate for candidate in found if candidate.quality is not None]
    if not differences:
        return ComparisonVerdict(kind="no_data", sentence=_nothing_to_compare(scored))
    if len(scored) == len(found) and all(pair.distinguishable for pair in differences):
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
    names = [level.other for level in differences if not level.distinguishable]
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
    """Return the pair that decides what to use: the best model against the cheapest that may be as good."""
    level = [pair for pair in differences if not pair.distinguishable]
    names = {scored[0].model, *(pair.other for pair in level)}
    alike = [candidate for candidate in scored if candidate.model in names]
    cheapest = _cheapest(alike) if level else None
    return next((pair for pair in level if pair.other == cheapest), level[0] if level else None)


def _beside_baseline(found: Sequence[Candidate], to_baseline: Sequence[Difference]) -> str | None:
    """Say of each open model whether it can take the baseline's place, and what that saves."""
    models = {candidate.model: candidate for candidate in found}
    pairs = [pair for pair in to_baseline if models[pair.model].kind != "frontier"]
    if not pairs:
        return None
    groups = {
        "better": [pair.model for pair in pairs if pair.verdict == "better"],
        "not distinguishable": [pair.model for pair in pairs if not pair.distinguishable],
        "worse": [pair.model for pair in pairs if pair.verdict == "worse"],
    }
    said = [f"{listing(names)} {'is' if len(names) == 1 else 'are'} {how}" for how, names in groups.items() if names]
    baseline = models[pairs[0].other]
    level = [pair for pair in pairs if pair.verdict != "worse" and saving(models[pair.model], baseline) is not None]
    best_buy = min(level, key=lambda pair: models[pair.model].mean_cost or 0.0, default=None)
    rest = "" if best_buy is None else f" {_best_buy(best_buy, models[best_buy.model], baseline)}"
    return f"Against the baseline {baseline.model}: {', '.join(said)}.{rest}"


def _best_buy(pair: Difference, model: Candidate, baseline: Candidate) -> str:
    share = saving(model, baseline) or 0.0
    cost = f"saves {percent(share)} of the cost" if share > 0 else f"costs {1 - share:.1f} times as much"
    few = ": too few rows to say more" if pair.verdict == "too few rows" else ""
    lost = "" if pair.ci_low is None or pair.ci_low >= 0 else f"; it may be {points(-pair.ci_low)} points worse{few}"
    return f"The cheapest that is not shown to be worse, {pair.model}, {cost}{lost}."


def _could_still_differ(pair: Difference, alike: Sequence[Candidate]) -> str:
    name, cost = pair.other, next(c.mean_cost for c in alike if c.model == pair.other)
    if name == _cheapest(alike):
        name = f"The cheapest of them, {name} ({unit_cost(cost)} per 1,000 requests),"
    gap = f"{points(pair.difference)} points behind {pair.model}" if pair.difference else f"level with {pair.model}"
    still = _range(pair, ", with a 95 % interval of {}")
    alone = ", which does not hold once corrected for having picked the best" if _excludes_zero(pair) else ""
    return f"{name} is {gap} here{still}{alone}."


def _excludes_zero(pair: Difference) -> bool:
    return pair.ci_low is not None and pair.ci_low > 0


def _behind(names: Sequence[str]) -> str:
    return f"{listing(names)} {'is' if len(names) == 1 else 'are'} worse." if names else ""


def _cheapest(alike: Sequence[Candidate]) -> str | None:
    """Name the one model that costs less than all others; None when that is not known or not one."""
    costs = sorted(float("-inf") if c.mean_cost is None else c.mean_cost for c in alike)
    if costs[0] == float("-inf") or costs[0] == costs[1]:
        return None
    return next(c.model for c in alike if c.mean_cost == costs[0])


def _who_is_cheapest(alike: Sequence[Candidate]) -> str:
    """Say which cost least, unless that is the one model of which more is said next."""
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
    if pair.n is None or pair.detectable is None:
        return ""
    shows = f"{count(pair.n, 'row')} can show a difference of about {points(pair.detectable)} points or more"
    needed = f"; to show this one takes about {_rounded(pair.rows_needed)} rows" if pair.rows_needed else ""
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
        return f"paired over {count(pair.n or 0, 'row')}"
    if pair.ci_low is None:
        return "the service gave no intervals"
    return "by the published intervals, without per-row scores"


def _range(pair: Difference, sentence: str) -> str:
    if pair.ci_low is None or pair.ci_high is None:
        return ""
    return sentence.format(f"{points(pair.ci_low)} to {points(pair.ci_high)}")


def _rounded(rows: int | None) -> str:
    """Round to two digits: a number of rows needed is an estimate and should look like one."""
    return f"{float(f'{rows or 0:.2g}'):,.0f}"
