"""A batch's answers as the rows a page shows."""

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

# Longer texts are folded, and cut on the page: it must stay a page one can open. The output file has them whole.
FOLDED = 100
CUT = 20_000


@dataclass(frozen=True, slots=True)
class Text:
    """One of the dataset's own values: `left_out` counts the characters that were cut."""

    name: str
    text: str
    left_out: int

    @property
    def beginning(self) -> str:
        return " ".join(self.text[: 4 * FOLDED].split())[:FOLDED]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the batch, ready to be shown."""

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
    """The rows shown, how many more there are, and how many of those shown stand in each state."""

    rows: tuple[Row, ...]
    more: int
    states: Mapping[State, int]


def shown_rows(
    table: "pd.DataFrame", most: int, id_column: str | None, truth_column: str | None, *, of: int | None = None
) -> ShownRows:
    """Return the first rows of an answers table, which itself may be the beginning of one `of` so many rows."""
    records = artifact_rows(table, most)
    results = result_columns(list(table.columns))
    rows = tuple(
        _row(number, record, results, id_column, truth_column) for number, record in enumerate(records, start=1)
    )
    found = Counter(row.state for row in rows)
    more = max(of or 0, len(table)) - len(rows)
    return ShownRows(rows, more, {state: found[state] for state in get_args(State) if found[state]})


def _row(
    number: int,
    record: Mapping[str, object],
    results: Mapping[str, str],
    id_column: str | None,
    truth_column: str | None,
) -> Row:
    got = {result: record[column] for result, column in results.items()}
    own = [name for name in record if name not in results.values() and name not in {id_column, truth_column}]
    texts = [_text(name, record[name]) for name in own if record[name] is not None]
    truth, latency = record.get(truth_column or ""), got["latency_ms"]
    return Row(
        number=number,
        id=_said(record.get(id_column or "")),
        state=_state(got, truth),
        answer=_said(got["answer"]),
        truth=_said(truth),
        error=_said(got["error"]),
        flag=_said(got["flag"]),
        attempts=_whole(got["attempts"]),
        latency_ms=float(latency) if isinstance(latency, int | float) else None,
        billed_micro_usd=_whole(got["billed_micro_usd"]),
        short=tuple(text for text in texts if len(text.text) <= FOLDED),
        long=tuple(text for text in texts if len(text.text) > FOLDED),
    )


def _state(got: Mapping[str, object], truth: object) -> State:
    state = state_of(got["answer"], got["error"], got["attempts"])
    if state != "settled":
        return state
    if truth is not None:
        return "right" if is_right(truth, got["answer"]) else "wrong"
    return "answered"


def _text(name: str, value: object) -> Text:
    text = str(value)
    return Text(name, text[:CUT], max(len(text) - CUT, 0))


def _said(value: object) -> str | None:
    return None if value is None else str(value)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None
