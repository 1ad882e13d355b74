"""Sampling fields of a row from its columns, checked before anything is sent."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from pareta_batch.errors import DatasetError
from pareta_batch.money import most_answer_tokens, unbounded
from pareta_batch.rows.dataset import Dataset, Row
from pareta_batch.rows.openai_batch import is_openai_batch, sampling_in
from pareta_batch.rows.placeholders import MissingValue, column_of, value_of
from pareta_batch.rows.values import plain
from pareta_batch.sampling import Sampling
from pareta_batch.spec import Batch


@dataclass(frozen=True)
class RowSampling:
    """The sampling of a batch: the fields of all rows, and the columns of single fields."""

    default: Mapping[str, Any]  # the service's own fields: any JSON value
    columns: Mapping[str, str]
    max_tokens: int | None
    has_budget: bool
    in_body: bool = False
    """Whether the body of each row, a request made for OpenAI, has fields too."""

    @classmethod
    def of(cls, batch: Batch, dataset: Dataset) -> "RowSampling":
        """Return the sampling of a batch; raises DatasetError for a column that the dataset does not have."""
        problems = [
            f"{dataset.path} has no column {column!r}; it has: {', '.join(dataset.columns)} (sampling_columns.{name})"
            for name, column in batch.sampling_columns.items()
            if column_of(column, dataset.columns) is None
        ]
        if problems:
            raise DatasetError(problems)
        fields = batch.request_fields()
        has_budget, in_body = batch.budget_usd is not None, is_openai_batch(batch.dataset)
        return cls(fields, batch.sampling_columns, batch.sampling.most_tokens, has_budget, in_body)

    def fields(self, row: Row) -> Mapping[str, Any] | None:
        """Return the row's own sampling, or None for that of the batch; raises ValueError for an invalid value."""
        own = dict(sampling_in(row.values)) if self.in_body else {}
        own |= {
            name: value for name, column in self.columns.items() if (value := _value(name, column, row)) is not None
        }
        if not own:
            return None
        try:
            fields = Sampling.model_validate({**self.default, **own}).fields()
        except ValidationError as error:
            raise ValueError(self._problem(error)) from None
        longest = most_answer_tokens(fields)
        if self.max_tokens is not None and (longest is None or longest > self.max_tokens):
            raise ValueError(
                f"its answer may have {longest} tokens, the batch allows {self.max_tokens}; raise sampling.max_tokens"
            )
        if self.has_budget and (problems := unbounded(fields)):
            raise ValueError(f"{problems[0]}; leave it out, or leave budget_usd out")
        return None if fields == self.default else fields

    def _problem(self, error: ValidationError) -> str:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        where = f"{name} is {first['input']!r:.40}: " if self.in_body else ""
        where = f"column {self.columns[name]!r}, {name} is {first['input']!r:.40}: " if name in self.columns else where
        return f"{where}{first['msg'].removeprefix('Value error, ')}; fix the value"


def _value(name: str, column: str, row: Row) -> object:
    """Return the value of a field; a text is read as JSON where the field is not text, as in CSV."""
    try:
        value = plain(value_of(column, row.values))
    except MissingValue:
        return None
    if not isinstance(value, str) or name in Sampling.undeclared:  # text that looks like a number stays text
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value
