"""The spec field `reuse`: which rows share an answer that was bought once."""

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema

from pareta_batch.spec_base import Spec

Scope = Literal["row", "batch", "ledger"]
"""Where a row may share its answer: with no other row, with rows of its batch, or with all batches of the ledger."""

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGE = re.compile(r"(\d{1,6}(?:\.\d{1,3})?) ?([smhdw])")


def _age(given: object) -> object:
    if isinstance(given, str) and (found := _AGE.fullmatch(given.strip())):
        return timedelta(**{_UNITS[found[2]]: float(found[1])})
    if isinstance(given, timedelta) or (isinstance(given, str) and given.startswith("P")):
        return given
    raise ValueError(f"{given!r:.40} is not an age; write a number with a unit (s, m, h, d, w), such as 7d")


Age = Annotated[timedelta, BeforeValidator(_age), WithJsonSchema({"type": "string"})]


class Reuse(Spec):
    """Rows with the same request share one answer."""

    model_config = ConfigDict(title="Reuse")

    duplicates: bool | None = Field(
        None,
        title="Duplicates",
        description="Ask equal requests of this batch once; by default yes if temperature is 0 or not set",
    )
    max_age: Age | None = Field(
        None,
        gt=timedelta(0),
        title="Max age",
        description="Also take over answers of other batches of the ledger that are at most this old, such as 7d",
    )

    @property
    def within_batch(self) -> bool:
        """Whether equal requests of the batch may share an answer; `Scope` decides row by row."""
        return self.duplicates is not False
