"""A batch's answers as rows of a page."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from pareta_report.batch.answers import result_columns, state_of
from pareta_report.batch.truth import is_right
from pareta_report.render import artifact_rows

if TYPE_CHECKING:
    import pandas as pd

State = Literal["right", "wrong", "answered", "failed", "pending"]

FOLDED_CHARS = 100
"""Characters from which a text is folded. Raised: a longer page."""
MAX_CHARS = 20_000
"""Characters of a text on the page; the output file has all. Raised: a page that opens slowly."""


@dataclass(frozen=True, slots=True)
class Text:
    """A value of the dataset; `left_out` is the number of characters cut."""

    name: str
    text: str
    left_out: int

    @property
    def beginning(self) -> str:
        return " ".join(self.text[: 4 * FOLDED_CHARS].split())[:FOLDED_CHARS]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the batch for display."""

    number: int
    id: str | None
    state: State
    answer: str | None
    truth: str | None
    error: str | None
    flag: str | None
    attempts: int | None
    latency_ms: float | None
    billed_micro_usd: int | None
    short: tuple[Text, ...]
    long: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class ShownRows:
    """The rows shown, the number of rows left out, and the number of rows shown by state."""

    rows: tuple[Row, ...]
    more: int
    states: Mapping[State, int]


def shown_rows(
    table: "pd.DataFrame", max_rows: int, id_column: str | None, truth_column: str | None, *, total: int | None = None
) -> ShownRows:
    """Return the first `max_rows` rows of an answers table; `total` is the number of rows of the batch if larger."""
    records = artifact_rows(table, max_rows)
    results = result_columns(list(table.columns))
    rows = tuple(
        _row(number, record, results, id_column, truth_column) for number, record in enumerate(records, start=1)
    )
    found = Counter(row.state for row in rows)
    more = max(total or 0, len(table)) - len(rows)
    return ShownRows(rows, more, {state: found[state] for state in get_args(State) if found[state]})


def _row(
    number: int,
    record: Mapping[str, object],
    results: Mapping[str, str],
    id_column: str | None,
    truth_column: str | None,
) -> Row:
    values = {result: record[column] for result, column in results.items()}
    own = [name for name in record if name not in results.values() and name not in {id_column, truth_column}]
    texts = [_text(name, record[name]) for name in own if record[name] is not None]
    truth, latency = record.get(truth_column or ""), values["latency_ms"]
    return Row(
        number=number,
        id=_string(record.get(id_column or "")),
        state=_state(values, truth),
        answer=_string(values["answer"]),
        truth=_string(truth),
        error=_string(values["error"]),
        flag=_string(values["flag"]),
        attempts=_integer(values["attempts"]),
        latency_ms=float(latency) if isinstance(latency, int | float) else None,
        billed_micro_usd=_integer(values["billed_micro_usd"]),
        short=tuple(text for text in texts if len(text.text) <= FOLDED_CHARS),
        long=tuple(text for text in texts if len(text.text) > FOLDED_CHARS),
    )


def _state(values: Mapping[str, object], truth: object) -> State:
    state = state_of(values["answer"], values["error"], values["attempts"])
    if state != "settled":
        return state
    if truth is not None:
        return "right" if is_right(truth, values["answer"]) else "wrong"
    return "answered"


def _text(name: str, value: object) -> Text:
    text = str(value)
    return Text(name, text[:MAX_CHARS], max(len(text) - MAX_CHARS, 0))


def _string(value: object) -> str | None:
    return None if value is None else str(value)


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) else None
