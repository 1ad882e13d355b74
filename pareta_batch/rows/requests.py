"""Requests from rows: rendered and checked before anything is sent."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pareta_batch.errors import MAX_PROBLEMS_SHOWN, DatasetError
from pareta_batch.rows.dataset import Dataset, Row
from pareta_batch.rows.identity import Message, fingerprint, row_key
from pareta_batch.rows.prompt_template import MissingValue, Prompt, jinja_columns
from pareta_batch.rows.values import is_missing
from pareta_batch.spec import Batch


@dataclass(frozen=True)
class RowRequest:
    """The request of one row, with its identity in the ledger.

    `in_doubt`: an earlier request may have been paid although its answer was not received.
    """

    position: int
    key: str
    fingerprint: str
    messages: tuple[Message, ...]
    in_doubt: bool = False

    @property
    def prompt_bytes(self) -> int:
        """Bytes of the messages' content."""
        return sum(len(message["content"].encode()) for message in self.messages)


@dataclass
class _Problems:
    """The first problems of a dataset, and their total number."""

    shown: list[str] = field(default_factory=list)
    total: int = 0

    def add(self, problem: str) -> None:
        self.total += 1
        if len(self.shown) < MAX_PROBLEMS_SHOWN:
            self.shown.append(problem)


def row_requests(batch: Batch) -> Iterator[RowRequest]:
    """Yield the request of each row of the batch's dataset.

    Raises DatasetError, with all problems, for an invalid dataset or prompt. Requests may be yielded first: use none
    before the iterator is exhausted.
    """
    dataset = Dataset.open(batch.dataset)
    prompts = _prompts_for(batch, dataset)
    sampling = batch.sampling.fields()
    keys = _Keys(batch.id_column)
    problems = _Problems()
    for row in dataset.rows():
        try:
            yield _request(batch, prompts, sampling, keys.of(row), row)
        except MissingValue as missing:
            problems.add(
                f"{row.place}: no value for column {missing.column!r}, which {prompts.naming(missing.column)} names"
            )
        except ValueError as problem:
            problems.add(f"{row.place}: {problem}")
    if problems.total:
        raise DatasetError(problems.shown, problems.total)


def check_rows(batch: Batch) -> int:
    """Check all rows of the batch's dataset, and return their number; raises as `row_requests`."""
    return sum(1 for _ in row_requests(batch))


def keyed_rows(batch: Batch) -> Iterator[tuple[str, Row]]:
    """Yield each row of the batch's dataset with its key; raises DatasetError for a missing or duplicate id."""
    keys = _Keys(batch.id_column)
    for row in Dataset.open(batch.dataset).rows():
        try:
            yield keys.of(row), row
        except ValueError as problem:
            raise DatasetError([f"{row.place}: {problem}"]) from None


@dataclass(frozen=True)
class _Prompts:
    """The templates of a batch: the optional system message and the user message."""

    system: Prompt | None
    user: Prompt

    def messages(self, row: Row) -> tuple[Message, ...]:
        """Return the messages of a row; raises MissingValue."""
        system = [{"role": "system", "content": self.system.render(row.values)}] if self.system else []
        return (*system, {"role": "user", "content": self.user.render(row.values)})

    def naming(self, column: str) -> str:
        """Return the name of the template that names a column."""
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
    """Yield a problem for each column in Jinja syntax, and for a prompt without a column."""
    named = bool(prompts.user.columns or (prompts.system and prompts.system.columns))
    for name, template in (("prompt", batch.prompt), ("system_prompt", batch.system_prompt or "")):
        for column in jinja_columns(template, dataset.columns, loose=not named):
            yield f"{name}: {{{{ {column} }}}} is Jinja syntax; write {{{column}}}"
            named = True
    if not named:
        columns = ", ".join(f"{{{column}}}" for column in dataset.columns)
        yield f"prompt {batch.prompt!r:.80}: no column, so all rows would have the same prompt; use one of: {columns}"


class _Keys:
    """The keys of a dataset's rows; duplicate ids are errors."""

    def __init__(self, id_column: str | None) -> None:
        self._id_column = id_column
        self._first: dict[str, str] = {}
        self._times: Counter[str] = Counter()

    def of(self, row: Row) -> str:
        """Return the row's key; without an id column, equal rows get a counter as suffix.

        Raises ValueError for a missing or duplicate id.
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
            raise ValueError(f"duplicate id {key!r} in column {self._id_column!r}; it is also at {first}")
        return key


def _request(batch: Batch, prompts: _Prompts, sampling: Mapping[str, Any], key: str, row: Row) -> RowRequest:
    messages = prompts.messages(row)
    work = fingerprint(batch.model, messages, sampling)
    return RowRequest(row.position, key, work, messages)
