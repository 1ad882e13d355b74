"""Requests from rows: rendered and checked before anything is sent."""

import json
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from pareta_batch.errors import MAX_PROBLEMS_SHOWN, DatasetError
from pareta_batch.reuse import Scope
from pareta_batch.rows.dataset import Dataset, Row
from pareta_batch.rows.identity import Message, fingerprint, row_key
from pareta_batch.rows.message_files import file_paths, identity_of
from pareta_batch.rows.message_size import bytes_of
from pareta_batch.rows.messages import MessageBuilder
from pareta_batch.rows.placeholders import MissingValue
from pareta_batch.rows.row_sampling import RowSampling
from pareta_batch.rows.seen_keys import SeenKeys
from pareta_batch.rows.share_scope import scope_of
from pareta_batch.rows.values import is_missing
from pareta_batch.spec import Batch


@dataclass(frozen=True)
class RowRequest:
    """The request of one row, with its identity in the ledger.

    `in_doubt`: an earlier request may have been paid although its answer was not received. `sampling`: the row's own
    sampling fields, None for those of the batch. `turns`: JSON text of the answers that did not fit so far.
    `sent_as`: the key in its idempotency key, None for `key`. `scope`: the rows it may share its answer with.
    """

    position: int
    key: str
    fingerprint: str
    messages: tuple[Message, ...]
    in_doubt: bool = False
    sampling: Mapping[str, Any] | None = None
    turns: str | None = None
    sent_as: str | None = None
    scope: Scope = field(default="ledger", compare=False)

    @cached_property
    def prompt_bytes(self) -> int:
        """Bytes of the messages, and the bound of the tokens of each attached file."""
        return sum(map(bytes_of, self.messages))

    @cached_property
    def options(self) -> str | None:
        """JSON text of the row's own sampling and the paths of its files; None for a row without them."""
        paths = file_paths(self.messages)
        if self.sampling is None and not paths:
            return None
        return json.dumps({"sampling": self.sampling, "files": paths}, sort_keys=True)


@dataclass
class _Problems:
    """The first problems of a dataset, and their total number."""

    shown: list[str] = field(default_factory=list)
    total: int = 0

    def add(self, problem: str) -> None:
        self.total += 1
        if len(self.shown) < MAX_PROBLEMS_SHOWN:
            self.shown.append(problem)


def row_requests(batch: Batch, *, unique: bool = True) -> Iterator[RowRequest]:
    """Yield the request of each row of the batch's dataset; unless `unique`, equal rows and equal ids have equal keys.

    Raises DatasetError, with all problems, for an invalid dataset or prompt. Requests may be yielded first: use none
    before the iterator is exhausted.
    """
    dataset = Dataset.open(batch.dataset)
    builder = MessageBuilder.of(batch, dataset, batch.dataset)
    sampling = RowSampling.of(batch, dataset)
    problems = _Problems()
    columns: set[str] = set()
    with SeenKeys() if unique else nullcontext() as seen:
        for row in dataset.rows():
            if not row.values.keys() <= columns:
                columns.update(row.values)
            try:
                yield _request(batch, builder, sampling, _key(row, batch.id_column, seen), row)
            except MissingValue as missing:
                problems.add(
                    f"{row.place}: no value for column {missing.column!r}, which {builder.naming(missing.column)} names"
                )
            except ValueError as problem:
                problems.add(f"{row.place}: {problem}")
    for unknown in builder.unknown_names(columns):
        problems.add(unknown)
    if problems.total:
        raise DatasetError(problems.shown, problems.total)


def block_requests(batch: Batch) -> list[RowRequest]:
    """Return the requests of a block, with keys that depend on the row alone and not on its block.

    Rows that may share an answer have the key of their request. Other rows have their own, with that of the request:
    an edited row is another one. Raises as `row_requests`.
    """
    return [replace(each, key=_key_in_blocks(batch, each)) for each in row_requests(batch, unique=False)]


def _key_in_blocks(batch: Batch, request: RowRequest) -> str:
    if request.scope == "row" or not batch.reuse.within_batch:
        return f"{request.key}-{request.fingerprint[:16]}"
    return f"request-{request.fingerprint[:32]}"


def check_rows(batch: Batch) -> int:
    """Check all rows of the batch's dataset, and return their number; raises as `row_requests`."""
    return sum(1 for _ in row_requests(batch))


def keyed_rows(batch: Batch) -> Iterator[tuple[str, Row]]:
    """Yield each row of the batch's dataset with its key; raises DatasetError for a missing or duplicate id."""
    with SeenKeys() as seen:
        for row in Dataset.open(batch.dataset).rows():
            try:
                yield _key(row, batch.id_column, seen), row
            except ValueError as problem:
                raise DatasetError([f"{row.place}: {problem}"]) from None


def _key(row: Row, id_column: str | None, seen: SeenKeys | None) -> str:
    """Return the row's key; without an id column, equal rows get a counter as suffix. With `seen` None all are new.

    Raises ValueError for a missing or duplicate id.
    """
    if id_column is not None and (is_missing(value := row.values.get(id_column)) or value == ""):
        raise ValueError(f"no value in the id column {id_column!r}")
    key = row_key(row.values, id_column)
    times, first = seen.add(key, row.place) if seen else (1, row.place)
    if times == 1:
        return key
    if id_column is not None:
        raise ValueError(f"duplicate id {key!r} in column {id_column!r}; it is also at {first}")
    return f"{key}-{times}"


def _request(batch: Batch, builder: MessageBuilder, sampling: RowSampling, key: str, row: Row) -> RowRequest:
    messages, own = builder.messages(row), sampling.fields(row)
    fields = sampling.default if own is None else own
    work = fingerprint(batch.model, identity_of(messages), fields)
    scope = scope_of(messages, fields, also_sampled=batch.reuse.duplicates is True)
    request = RowRequest(row.position, key, work, messages, sampling=own, scope=scope)
    # Raises here for a text that UTF-8 cannot encode.
    assert request.prompt_bytes >= 0
    return request
