"""The base class of all flow parameters: unknown fields and invalid numbers are refused."""

import math
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

NUMBERS = frozenset({int, float, timedelta})

BudgetUsd = Annotated[float | None, Field(ge=0.000001, title="Budget")]
"""A maximum cost in dollars; None for no limit. The smallest budget is one micro-USD."""

ApproveAboveUsd = Annotated[
    float | None,
    Field(
        ge=0,
        title="Approve above",
        description="Dollars above which a person approves the quote of a run before anything is billed",
    ),
]
"""The quoted cost above which a run waits for a person; None never waits."""

CredentialsName = Annotated[
    str | None,
    Field(
        max_length=100,
        pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$",
        title="Credentials",
        description="Name of a credentials block on the Prefect server; by default `pareta`, else PARETA_API_KEY",
    ),
]
"""The name of a credentials block; None for the default account."""


class Spec(BaseModel):
    """Base class of flow parameters; NaN, infinity, and a boolean in place of a number are refused.

    Errors hide the input: it may be a misplaced key, or a URL with credentials.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)

    @field_validator("*", mode="before")
    @classmethod
    def numbers_are_not_true_or_false(cls, value: object, info: ValidationInfo) -> object:
        field = cls.model_fields[info.field_name or ""]
        # pydantic accepts True as 1.
        if isinstance(value, bool) and NUMBERS & {field.annotation, *get_args(field.annotation)}:
            raise ValueError(f"{str(value).lower()} is not a number; write a number")
        return value


class Frozen(BaseModel):
    """Base class of results and quotes, which nothing changes."""

    model_config = ConfigDict(frozen=True)


def infinite(value: Any, place: str) -> Iterator[str]:  # any JSON value
    """Yield the places below `place` with NaN or infinity, which JSON cannot represent."""
    match value:
        case float() if not math.isfinite(value):
            yield f"{place} is {value}"
        case dict():
            for name, inner in value.items():
                yield from infinite(inner, f"{place}.{name}")
        case list() | tuple():
            for index, inner in enumerate(value):
                yield from infinite(inner, f"{place}[{index}]")
