"""From rows to asks: what is sent for each row, checked before anything is sent."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pareta_batch.errors import MOST_PROBLEMS_SHOWN, DatasetError
from pareta_batch.rows.dataset import Dataset, Row
from pareta_batch.rows.identity import Message, fingerprint, row_key
from pareta_batch.rows.prompt_template import MissingValue, Prompt, jinja_columns
from pareta_batch.rows.values import is_missing
from pareta_batch.spec import Batch


@dataclass(frozen=True)
class RowRequest:
    """What one row asks of the model, and who it is in the ledger.

    `in_doubt`: an earlier request for it may have been paid without its answer having come.
    """

    position: int
    key: str
    fingerprint: str
    messages: tuple[Message, ...]
    in_doubt: bool = False

    @property
    def prompt_bytes(self) -> int:
        """Bytes of what is said in the messages."""
        return sum(len(message["content"].encode()) for message in self.messages)


@dataclass
class _Problems:
    """The first few problems of a dataset, and how many there are in all."""

    shown: list[str] = field(default_factory=list)
    total: int = 0

    def add(self, problem: str) -> None:
        self.total += 1
        if len(self.shown) < MOST_PROBLEMS_SHOWN:
            self.shown.append(problem)


def row_requests(batch: Batch) -> Iterator[RowRequest]:
    """Read the batch's dataset and render each row.

    Raises DatasetError, with every problem found, when the dataset or the prompt does not fit. Rows before
    the problem have been yielded by then: take none of them for good before the iterator ends.
    """
    dataset = Dataset.open(batch.dataset)
    prompts = _prompts_for(batch, dataset)
    sampling = batch.sampling.fields()
    keys = _Keys(batch.id_column)
    problems = _Problems()
    for row in dataset.rows():
        try:
            yield _ask(batch, prompts, sampling, keys.of(row), row)
        except MissingValue as missing:
            problems.add(
                f"{row.place}: no value for column {missing.column!r}, which {prompts.naming(missing.column)} names"
            )
        except ValueError as problem:
            problems.add(f"{row.place}: {problem}")
    if problems.total:
        raise DatasetError(problems.shown, problems.total)


def check_rows(batch: Batch) -> int:
    """Count the rows of a dataset that fits the batch; raises as `asks_of`."""
    return sum(1 for _ in row_requests(batch))


def keyed_rows(batch: Batch) -> Iterator[tuple[str, Row]]:
    """Yield each row of the batch's dataset with its key; raises DatasetError where it has none of its own."""
    keys = _Keys(batch.id_column)
    for row in Dataset.open(batch.dataset).rows():
        try:
            yield keys.of(row), row
        except ValueError as problem:
            raise DatasetError([f"{row.place}: {problem}"]) from None


@dataclass(frozen=True)
class _Prompts:
    """The templates of a batch: of the system message, if there is one, and of the user's."""

    system: Prompt | None
    user: Prompt

    def messages(self, row: Row) -> tuple[Message, ...]:
        """Return the messages of a row; raises MissingValue."""
        system = [{"role": "system", "content": self.system.render(row.values)}] if self.system else []
        return (*system, {"role": "user", "content": self.user.render(row.values)})

    def naming(self, column: str) -> str:
        """Return which of the templates names a column."""
        return "the prompt" if column in self.user.columns else "the system prompt"


def _prompts_for(batch: Batch, dataset: Dataset) -> _Prompts:
    try:
        system = Prompt.parse(batch.system_prompt, "system_prompt") if batch.system_prompt else None
        prompts = _Prompts(system, Prompt.parse(batch.prompt))
    except ValueError as error:
        raise DatasetError([str(error)]) from None
    if problems := [*_unknown_columns(batch, prompts, dataset), *_no_columns(batch, prompts, dataset)]:
        raise DatasetError(problems)
    return prompts


def _unknown_columns(batch: Batch, prompts: _Prompts, dataset: Dataset) -> Iterator[str]:
    has = f"{dataset.path} has no column {{}}; it has: {', '.join(dataset.columns)}"
    for column in prompts.user.unknown(dataset.columns):
        yield has.format(repr(column)) + " (named in the prompt)"
    for column in prompts.system.unknown(dataset.columns) if prompts.system else ():
        yield has.format(repr(column)) + f" (named in the system prompt; text in braces is written {{{{{column}}}}})"
    if batch.id_column is not None and batch.id_column not in dataset.columns:
        yield has.format(repr(batch.id_column)) + " (the id column)"


def _no_columns(batch: Batch, prompts: _Prompts, dataset: Dataset) -> Iterator[str]:
    """Find columns written as in Jinja, and a prompt without any column: every row would be asked the same."""
    named = bool(prompts.user.columns or (prompts.system and prompts.system.columns))
    for name, template in (("prompt", batch.prompt), ("system_prompt", batch.system_prompt or "")):
        for column in jinja_columns(template, dataset.columns, loose=not named):
            yield f"{name}: write {{{column}}}, not {{{{ {column} }}}}: it is no Jinja template"
            named = True
    if not named:
        columns = ", ".join(f"{{{column}}}" for column in dataset.columns)
        yield f"prompt {batch.prompt!r:.80} names no column: every row would be asked the same; there are: {columns}"


class _Keys:
    """Gives each row its key, and notices one that stands there twice."""

    def __init__(self, id_column: str | None) -> None:
        self._id_column = id_column
        self._first: dict[str, str] = {}
        self._times: Counter[str] = Counter()

    def of(self, row: Row) -> str:
        """Give the row's key; equal rows without an id column are told apart by their count.

        Raises ValueError for an id that is missing or not unique.
        """
        if self._id_column is None:
            key = row_key(row.values, None)
            self._times[key] += 1
            return key if self._times[key] == 1 else f"{key}-{self._times[key]}"
        value = row.values.get(self._id_column)
        if is_missing(value) or value == "":
            raise ValueError(f"no value in the id column {self._id_column!r}")
        key = row_key(row.values, self._id_column)
        if (first := self._first.setdefault(key, row.place)) != row.place:
            raise ValueError(f"id {key!r} in column {self._id_column!r} stands already at {first}")
        return key


def _ask(batch: Batch, prompts: _Prompts, sampling: Mapping[str, Any], key: str, row: Row) -> RowRequest:
    messages = prompts.messages(row)
    work = fingerprint(batch.model, messages, sampling)
    return RowRequest(row.position, key, work, messages)
