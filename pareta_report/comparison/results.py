"""Records of a comparison; they can be stored as JSON."""

from datetime import datetime
from typing import Literal

from pareta_report.comparison.row_results import Confusion, Record, Slicing

ModelKind = Literal["open", "frontier"]
VerdictKind = Literal["winner", "not_distinguishable", "too_few_rows", "no_data"]
PairVerdict = Literal["better", "worse", "not distinguishable", "too few rows"]
Method = Literal["paired", "published"]
Word = Literal["as good", "worse", "open"]

COARSE = 0.15
"""Detectable difference above which a sample has too few rows. Raised: fewer verdicts of `too few rows`."""
FEW_UNITS = 50
"""Rows or groups below which a sample of unknown power has too few rows. Raised: more verdicts of `too few rows`."""
MARGIN = 0.02
"""Loss of quality up to which a model is as good as the baseline. Raised: more models are as good."""


class ModelScore(Record):
    """The result of one model. Costs are in micro-USD, shares and qualities from 0 to 1.

    Attributes:
        quality: Mean score per row; a row without an answer counts as 0.
        right, wrong, no_answer: Shares of the rows requested, with the sum 1; a graded score is the share right.
        answered_quality: Mean score of the answered rows. Needs per-row scores, as the three shares do.
        latency_p50_ms, latency_p95_ms: None if the service does not report the latency by row.
        cost_low_micro_usd, cost_high_micro_usd: Interval of the mean cost, from the tokens of each row.
        dominated_by: A model with at least the same quality for at most the same cost.
        saving: Share of the baseline's mean cost that this model saves; negative if it costs more.
        published_quality: The service's own figure; another metric (macro F1) has another value.
        estimated_micro_usd: Expected total cost.
        billed_micro_usd: Mean cost times rows.
        reused_from: Id of the earlier run that paid for this result.
    """

    model: str
    kind: ModelKind | None = None
    quality: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    mean_cost_micro_usd: float | None = None
    cost_low_micro_usd: float | None = None
    cost_high_micro_usd: float | None = None
    n: int | None = None
    errors: int | None = None
    right: float | None = None
    wrong: float | None = None
    no_answer: float | None = None
    answered_quality: float | None = None
    latency_p50_ms: float | None = None
    latency_p95_ms: float | None = None
    on_pareto_front: bool = False
    dominated_by: str | None = None
    saving: float | None = None
    published_quality: float | None = None
    estimated_micro_usd: float | None = None
    billed_micro_usd: float | None = None
    reused_from: str | None = None


class Answered(Record):
    """The difference of two models on the `n` rows that both answered, with its 95 % interval."""

    n: int
    difference: float
    ci_low: float
    ci_high: float


class Difference(Record):
    """The score of `model` minus the score of `other` (0.05 is five points), with a 95 % interval.

    Attributes:
        ci_low, ci_high: Interval that holds whether rows without an answer count as right or as wrong.
        p_adjusted: p value, corrected for the number of tests; `distinguishable` depends on it.
        n: Rows.
        groups: Groups of the `n` rows; None without groups.
        detectable: Smallest true difference that such a sample detects with 80 % power. None if no difference
            is detectable, or it is unknown (fewer than 50 groups, or a group of more than twice the mean size).
        rows_needed: Rows that detect the observed difference with 80 % power.
        rerun: Rows without an answer of either model.
        answered: The difference on the rows that both answered; None if `rerun` is 0.
        flip_price_micro_usd: Price of one wrong answer at which both models have the same total cost. Above it, the
            more accurate model is cheaper. Known only for distinguishable pairs, with its interval.
    """

    model: str
    other: str
    difference: float
    ci_low: float | None = None
    ci_high: float | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    n: int | None = None
    groups: int | None = None
    method: Method
    distinguishable: bool = False
    detectable: float | None = None
    rows_needed: int | None = None
    rerun: int = 0
    answered: Answered | None = None
    flip_price_micro_usd: float | None = None
    flip_low_micro_usd: float | None = None
    flip_high_micro_usd: float | None = None

    @property
    def verdict(self) -> PairVerdict:
        """The verdict on `model`: better, worse, not distinguishable, or too few rows."""
        if self.distinguishable:
            return "better" if self.difference > 0 else "worse"
        return "too few rows" if self._detectable_if_answered > COARSE else "not distinguishable"

    @property
    def _detectable_if_answered(self) -> float:
        """Detectable difference if all rows had an answer; 1 if too few units to know."""
        unanswered = self.rerun / self.n if self.n else 0.0
        if self.detectable is not None:
            return self.detectable - unanswered
        units = self.n if self.groups is None else self.groups
        return 1.0 if self.method == "paired" and not self.rerun and (units or 0) < FEW_UNITS else 0.0


class Disagreement(Record):
    """A row with different scores of the two models of the decision; `best` is the first of them."""

    idx: int
    best_score: float
    other_score: float
    best_prediction: str | None = None
    other_prediction: str | None = None
    input: str | None = None
    expected: str | None = None


class Standing(Record):
    """The verdict on one model against the baseline: as good (within the margin), worse, or open.

    Attributes:
        difference: Score minus score of the baseline.
        lower: Lower bound of the difference at 95 % for all models together. Rows without an answer count as right for
            the baseline and as wrong for this model.
        at_most: Largest loss of quality by `lower`, at least 0; at most the margin if the model is as good.
        n: Rows.
        groups: Groups of the `n` rows; None without groups.
        rerun: Rows without an answer of either model.
        rows_needed: Rows that show it to be as good with 80 % power, if the truth is as observed.
        reason: Why the verdict is open.
    """

    model: str
    word: Word
    difference: float
    lower: float | None = None
    at_most: float | None = None
    p_adjusted: float | None = None
    n: int | None = None
    groups: int | None = None
    rerun: int = 0
    saving: float | None = None
    rows_needed: int | None = None
    reason: str = ""


class Recommendation(Record):
    """The cheapest model that is as good as the baseline within the margin, else the baseline.

    `model` is None if the baseline is broken. `standings` holds every other scored model, the cheapest first.
    """

    model: str | None
    baseline: str
    margin: float
    at_most: float | None = None
    saving: float | None = None
    sentence: str
    standings: tuple[Standing, ...] = ()

    def named(self, word: Word) -> tuple[Standing, ...]:
        """Return the models with one verdict."""
        return tuple(standing for standing in self.standings if standing.word == word)


class ComparisonVerdict(Record):
    """The verdict of a comparison, as a kind and as sentences."""

    kind: VerdictKind
    winner: str | None = None
    sentence: str
    against_baseline: str | None = None


class Comparison(Record):
    """A judged eval run.

    Attributes:
        started_at: Time of the request for the eval run.
        scores: Models by quality, highest first; models without a score last.
        baseline: The frontier model with the highest quality if its rows without an answer count as right.
        margin: Loss of quality up to which a model is as good as the baseline.
        groups: Groups of rows; None without groups.
        differences: The model with the highest score against every other model.
        against_baseline: Every model against the baseline.
        deciding: The two models of the decision; `disagreements` and `slicings` are about them.
        disagreements: The first of the `disagreeing` rows.
    """

    name: str
    task: str | None = None
    eval_set_id: str | None = None
    run_id: str | None = None
    started_at: datetime | None = None
    status: Literal["completed", "failed"]
    error: str | None = None
    scores: tuple[ModelScore, ...] = ()
    total_cost_micro_usd: int | None = None
    verdict: ComparisonVerdict
    baseline: str | None = None
    margin: float = MARGIN
    groups: int | None = None
    recommendation: Recommendation | None = None
    differences: tuple[Difference, ...] = ()
    against_baseline: tuple[Difference, ...] = ()
    deciding: tuple[str, str] | None = None
    disagreements: tuple[Disagreement, ...] = ()
    disagreeing: int | None = None
    slicings: tuple[Slicing, ...] = ()
    confusions: tuple[Confusion, ...] = ()
    notes: tuple[str, ...] = ()

    def standing(self, model: str) -> Literal["winner", "highest score"] | PairVerdict | None:
        """Return the verdict on a model against the one with the highest score; None if it was not compared."""
        if self.differences and self.differences[0].model == model:
            return "winner" if self.verdict.winner else "highest score"
        pair = next((pair for pair in self.differences if pair.other == model), None)
        if pair is None:
            return None
        # The verdict of the pair is about the best model; invert it.
        return "worse" if pair.verdict == "better" else pair.verdict
