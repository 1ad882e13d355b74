"""Records of results by label and by slice, and of the measured quality of a batch; they can be stored as JSON."""

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen record without other fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Confusion(Record):
    """Rows by true label (`labels`) and by answer (`said`), and macro F1 (0 to 1) with a 95 % interval."""

    model: str
    labels: tuple[str, ...]
    said: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    macro_f1: float
    ci_low: float
    ci_high: float


class SliceScore(Record):
    """The quality of one model on a slice of the rows, with a 95 % interval."""

    model: str
    quality: float
    ci_low: float
    ci_high: float


class Slice(Record):
    """A slice of the rows: the quality of both models of the decision, and their difference.

    `gained` counts rows with a higher score of the first model, `lost` rows with a lower one.
    """

    value: str
    n: int
    scores: tuple[SliceScore, ...]
    difference: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    gained: int = 0
    lost: int = 0


class Slicing(Record):
    """The slices by label, by group, or by a column of the rows. `left_out` counts slices that are not shown."""

    by: str
    slices: tuple[Slice, ...]
    left_out: int = 0


class MeasuredQuality(Record):
    """The share of a batch's answers that equal the true label, with an exact 95 % interval.

    `n` counts finished rows with a true label. Of these, `unanswered` rows failed or have a blank answer, and count as
    wrong. `pending` rows are not in `n`. `matrix` is None with too many different labels.
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
