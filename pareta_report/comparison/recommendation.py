"""The recommendation: the cheapest model that is as good as the baseline within the margin."""

from collections.abc import Mapping, Sequence

from pareta_batch import quantity
from pareta_report.comparison.results import Difference, Recommendation, Standing
from pareta_report.comparison.standings import standings
from pareta_report.comparison.tradeoff import saving
from pareta_report.comparison.valid_results import Candidate
from pareta_report.render import listing, percent, points

BROKEN_BELOW_QUALITY = 0.1
"""Quality of the baseline below which prompt, scorer or service is assumed broken.

Raised: hard tasks get no recommendation.
"""


def recommended(
    found: Sequence[Candidate],
    baseline: Candidate | None,
    pairs: Sequence[Difference],
    groups: Mapping[int, str] | None,
    margin: float,
) -> Recommendation | None:
    """Return the recommendation; None without a baseline or another model."""
    if baseline is None or not pairs:
        return None
    verdicts = standings(found, baseline, pairs, groups, margin)
    if problem := _broken(found, baseline):
        sentence = f"Nothing is recommended: {problem}."
        undecided = {"word": "open", "reason": problem}
        return Recommendation(
            model=None,
            baseline=baseline.model,
            margin=margin,
            sentence=sentence,
            standings=tuple(standing.model_copy(update=undecided) for standing in verdicts),
        )
    chosen = _cheapest(found, baseline, verdicts)
    return Recommendation(
        model=chosen.model if chosen else baseline.model,
        baseline=baseline.model,
        margin=margin,
        at_most=chosen.at_most if chosen else None,
        saving=chosen.saving if chosen else None,
        sentence=_sentence(chosen, baseline, verdicts, margin),
        standings=verdicts,
    )


def against_baseline_text(recommendation: Recommendation) -> str:
    """Return the recommendation and the verdict on every model as text."""
    words = {
        "as good": [standing.model for standing in recommendation.named("as good")],
        "worse": [standing.model for standing in recommendation.named("worse")],
        "open": [f"{standing.model} ({standing.reason})" for standing in recommendation.named("open")],
    }
    within = {"as good": f"As good (within {points(recommendation.margin)} points)"}
    lines = [f"{within.get(word, word.capitalize())}: {listing(names)}." for word, names in words.items() if names]
    return " ".join([recommendation.sentence, *lines])


def _broken(found: Sequence[Candidate], baseline: Candidate) -> str | None:
    if unscored := [c.model for c in found if c.kind == "frontier" and c.quality is None]:
        return f"{listing(unscored)} was not scored, so the best baseline is unknown; run it again or leave it out"
    if baseline.errors is not None and baseline.errors == baseline.n:
        return f"the baseline {baseline.model} answered none of {quantity(baseline.n or 0, 'row')}; run it again"
    quality = baseline.quality if baseline.answered_quality is None else baseline.answered_quality
    if (quality or 0.0) < BROKEN_BELOW_QUALITY:
        return (
            f"the baseline {baseline.model} scores {percent(quality)} on the rows it answered; check prompt and scorer"
        )
    return None


def _cheapest(found: Sequence[Candidate], baseline: Candidate, verdicts: Sequence[Standing]) -> Standing | None:
    """Return the cheapest model that is as good as the baseline and does not cost more."""
    models = {candidate.model: candidate for candidate in found}
    cheaper = [s for s in verdicts if s.word == "as good" and (saving(models[s.model], baseline) or -1.0) >= 0]
    return cheaper[0] if cheaper else None


def _sentence(chosen: Standing | None, baseline: Candidate, verdicts: Sequence[Standing], margin: float) -> str:
    within = f"within {points(margin)} points of the baseline {baseline.model}"
    if chosen is not None:
        saved = f", saves {percent(chosen.saving)} of the cost" if chosen.saving else ", at the same cost"
        return f"The cheapest {within}: {chosen.model} (at most {points(chosen.at_most)} points worse){saved}."
    if any(standing.word == "as good" for standing in verdicts):
        return f"Stay with {baseline.model}: no model that is known to cost less is shown to be {within}."
    return f"Stay with {baseline.model}: no model is shown to be {within}."
