"""What a comparison and a measured batch say, as records that survive a trip through JSON."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

ModelKind = Literal["open", "frontier"]
VerdictKind = Literal["winner", "not_distinguishable", "too_few_rows", "no_data"]
PairVerdict = Literal["better", "worse", "not distinguishable", "too few rows"]
Method = Literal["paired", "published"]
Word = Literal["as good", "worse", "open"]

# A sample that would miss even this difference is called too small: nobody who compares would shrug it off.
COARSE = 0.15
FEW = 50  # rows or groups that are too few when what they show cannot be told
MARGIN = 0.02  # share of quality that a model may lose and still be as good; raised, more models are


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelScore(_Record):
    """How one model did: quality is the mean score per row from 0 to 1, a row without an answer bringing none.

    `right`, `wrong` and `no_answer` are shares of the rows asked, with the sum 1; a graded score is right by its part.
    `answered_quality` is the mean score of the rows that were answered. All four need per-row scores.

    `latency_p50_ms` and `latency_p95_ms` are known where the service tells how long each row took.

    `published_quality` is the service's own figure; it differs where the service summarises rows otherwise (macro F1).
    `dominated_by` names a model that scored at least as high for at most the same cost. `saving` is the share of the
    baseline's unit cost that this model saves; negative when it costs more. The cost's interval is estimated from how
    the rows differ in length. `estimated_micro_usd` is what this model was expected to cost in all, and
    `billed_micro_usd` what it did (the mean cost times the rows); `reused_from` names the earlier run that paid for it.
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


class Answered(_Record):
    """The difference of two models on the `n` rows that both answered, with its 95 % interval."""

    n: int
    difference: float
    ci_low: float
    ci_high: float


class Difference(_Record):
    """By how much `model` scored more than `other` (0.05 is five points), with a 95 % interval.

    The interval holds whichever way the `rerun` rows that either model has no answer to would have gone; `answered`
    stands beside it where there are any. `groups` counts the groups of the `n` rows, where rows belong together.
    `p_adjusted` is corrected for the number of looks; `distinguishable` rests on it. `detectable` is the smallest true
    difference that a sample like this shows in four of five cases, None if none does or it cannot be told (fewer than
    50 groups, or one more than twice the mean size); `rows_needed` is the sample that would show the observed one as
    often. `flip_price_micro_usd` is the price of one wrong answer at which the two cost the same all in all: below it
    the cheaper model is the better buy, above it the more accurate one. It is known only with its interval, and for
    pairs that are distinguishable.
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
        """What the pair decides about `model`: it is better, worse, not to be told apart, or not on so few rows."""
        if self.distinguishable:
            return "better" if self.difference > 0 else "worse"
        return "too few rows" if self._shows > COARSE else "not distinguishable"

    @property
    def _shows(self) -> float:
        """The difference that the rows could show if all had an answer; everything where they are too few to tell."""
        unanswered = self.rerun / self.n if self.n else 0.0
        if self.detectable is not None:
            return self.detectable - unanswered
        units = self.n if self.groups is None else self.groups
        return 1.0 if self.method == "paired" and not self.rerun and (units or 0) < FEW else 0.0


class Disagreement(_Record):
    """A row that the two models of the decision did not get the same score for; `best` is the first of them."""

    idx: int
    best_score: float
    other_score: float
    best_prediction: str | None = None
    other_prediction: str | None = None
    input: str | None = None
    expected: str | None = None


class Standing(_Record):
    """What is shown of one model against the baseline: as good (within the margin), worse, or open.

    `difference` is as scored; `lower` bounds it from below at 95 % for all models at once, with the baseline's rows
    without an answer taken as right and this model's as wrong. `at_most` is how much worse it may be by that, at least
    0, and no more than the margin where it is as good. `rerun` counts the rows that either has no answer to, of the `n`
    rows in `groups` groups. `rows_needed` would show it to be as good in four of five cases, if the truth is what was
    seen. `reason` says why it is open.
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


class Recommendation(_Record):
    """What to use: the cheapest model that is as good as the baseline within the margin, else the baseline.

    `model` is None where the baseline does not work. `standings` holds every other scored model, the cheapest first.
    """

    model: str | None
    baseline: str
    margin: float
    at_most: float | None = None
    saving: float | None = None
    sentence: str
    standings: tuple[Standing, ...] = ()

    def named(self, word: Word) -> tuple[Standing, ...]:
        """Return the models of which one thing is shown."""
        return tuple(standing for standing in self.standings if standing.word == word)


class Confusion(_Record):
    """Rows by true label and by what the model said, and macro-F1 (from 0 to 1) with a 95 % interval."""

    model: str
    labels: tuple[str, ...]
    said: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    macro_f1: float
    ci_low: float
    ci_high: float


class SliceScore(_Record):
    """How one model did on a part of the rows, with a 95 % interval."""

    model: str
    quality: float
    ci_low: float
    ci_high: float


class Slice(_Record):
    """A part of the rows: both models of the decision, by how much the first is ahead, and the rows that flip.

    `gained` rows got a higher score from the first model than from the second, `lost` rows a lower one.
    """

    value: str
    n: int
    scores: tuple[SliceScore, ...]
    difference: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    gained: int = 0
    lost: int = 0


class Slicing(_Record):
    """The rows in parts: by label, by group, or by a column of theirs. `left_out` counts parts that are not shown."""

    by: str
    slices: tuple[Slice, ...]
    left_out: int = 0


class ComparisonVerdict(_Record):
    """What the comparison decides, in one word and in words to read."""

    kind: VerdictKind
    winner: str | None = None
    sentence: str
    against_baseline: str | None = None


class Comparison(_Record):
    """One eval run, judged. Scores stand in order of quality, highest first, unscored models last.

    `deciding` names the two models that one decides between: `disagreements` (the first of `disagreeing` rows) and
    `slicings` are about them. `differences` compares the highest-scoring model with every other one, `against_baseline`
    every model with the baseline: the frontier model that scores highest when its rows without an answer are taken as
    right. `margin` is how much worse than it counts as good. `groups` counts the groups of rows, where rows belong
    together. `started_at` is when the eval run was asked for.
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
        """How a model did against the highest-scoring one; None where it was not compared."""
        if self.differences and self.differences[0].model == model:
            return "winner" if self.verdict.winner else "highest score"
        pair = next((pair for pair in self.differences if pair.other == model), None)
        if pair is None:
            return None
        # The pair speaks of the best model, the standing is the other one's.
        return "worse" if pair.verdict == "better" else pair.verdict


class MeasuredQuality(_Record):
    """How often a batch's answers equal the truth, with an exact 95 % interval.

    `n` rows are done and have a truth. `unanswered` ones of them `failed` or have a blank answer, and count as wrong.
    `pending` rows with a truth are not among them. `matrix` is there where the truths are few enough to be labels.
    """

    n: int
    right: int
    unanswered: int
    failed: int = 0
    pending: int = 0
    accuracy: float
    ci_low: float
    ci_high: float
    macro_f1: float
    matrix: Confusion | None = None
