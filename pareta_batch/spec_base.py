"""What all parameters of flows have in common: no unknown fields, and numbers that are numbers."""

import math
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

NUMBERS = frozenset({int, float, timedelta})


class Spec(BaseModel):
    """Parameters that a person writes: NaN, infinity, and true or false for a number are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def numbers_are_not_true_or_false(cls, value: object, info: ValidationInfo) -> object:
        field = cls.model_fields[info.field_name or ""]
        # Python takes True for 1.
        if isinstance(value, bool) and NUMBERS & {field.annotation, *get_args(field.annotation)}:
            raise ValueError(f"{str(value).lower()} is no number; write a number")
        return value


def infinite(value: Any, place: str) -> Iterator[str]:  # any JSON value
    """Yield the places below `place` that hold NaN or infinity, which JSON has not."""
    match value:
        case float() if not math.isfinite(value):
            yield f"{place} is {value}"
        case dict():
            for name, inner in value.items():
                yield from infinite(inner, f"{place}.{name}")
        case list() | tuple():
            for index, inner in enumerate(value):
                yield from infinite(inner, f"{place}[{index}]")
