"""Field types of records: a value of another type or range becomes None, with a note.

The validation context is a list of notes, or None. Values of the expected type are validated without a Python call.
"""

from typing import TYPE_CHECKING, Annotated, Any, Optional, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

from pareta_client.core import MAX_COUNT, MAX_QUOTED_CHARACTERS, content_of, note, noted_count, shown

T = TypeVar("T")

MAX_TIMESTAMP = 2**53
"""Largest accepted timestamp; seconds, milliseconds and microseconds since 1970 are below it."""


def _notes(info: ValidationInfo) -> list[str]:
    return info.context if isinstance(info.context, list) else []


def _count(value: object, info: ValidationInfo) -> int | None:
    return None if value is None else noted_count(info.field_name or "count", value, _notes(info))


def _no_text(value: object, info: ValidationInfo) -> None:
    if value is not None:
        note(_notes(info), f"{info.field_name} is {shown(value)}: not a text, ignored")


def _content(value: object, info: ValidationInfo) -> str | None:
    return content_of(value, _notes(info))


def _moment(value: object, info: ValidationInfo) -> int | None:
    return int(value) if isinstance(value, float) and 0 <= value <= MAX_TIMESTAMP else None


def _as_text(value: object) -> str | None:
    # Some services send numeric ids.
    return (
        str(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_TIMESTAMP else None
    )


def _as_number(value: object) -> float | None:
    if isinstance(value, str) and len(value) < MAX_QUOTED_CHARACTERS:
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= MAX_TIMESTAMP:
        return None
    return int(value) if value == int(value) else value


def _as_float(value: object) -> float | None:
    number = _as_number(value)
    return None if number is None else float(number)


def _objects(value: object, info: ValidationInfo) -> list[Any]:
    if not isinstance(value, list):
        return []
    objects = [item for item in value if isinstance(item, dict)]
    if len(objects) < len(value):
        note(_notes(info), f"{info.field_name} has entries that are not objects: ignored")
    return objects


def _object(value: object, info: ValidationInfo) -> object:
    if isinstance(value, dict):
        return value
    if value is not None:
        note(_notes(info), f"{info.field_name} is {shown(value)}: not an object, ignored")
    return {}


def _object_or_none(value: object) -> object:
    return value if isinstance(value, dict) and value else None


if TYPE_CHECKING:
    Count = Optional[int]  # noqa: UP045 - a type alias needs the subscriptable form
    Moment = Optional[int]  # noqa: UP045
    Text = Optional[str]  # noqa: UP045
    Content = Optional[str]  # noqa: UP045
    LooseText = Optional[str]  # noqa: UP045
    Whole = Optional[int]  # noqa: UP045
    Number = Optional[float]  # noqa: UP045
else:
    _IN_ORDER = Field(union_mode="left_to_right")
    _Counted = Annotated[int, Field(ge=0, le=MAX_COUNT)]
    _Dated = Annotated[int, Field(ge=0, le=MAX_TIMESTAMP)]
    Count = Annotated[_Counted | Annotated[Any, AfterValidator(_count)], _IN_ORDER]
    Moment = Annotated[_Dated | Annotated[Any, AfterValidator(_moment)], _IN_ORDER]
    Text = Annotated[str | Annotated[Any, AfterValidator(_no_text)], _IN_ORDER]
    Content = Annotated[str | Annotated[Any, AfterValidator(_content)], _IN_ORDER]
    LooseText = Annotated[str | Annotated[Any, AfterValidator(_as_text)], _IN_ORDER]
    # Accepts fractions too: some services send the mean of integer amounts.
    Whole = Annotated[Any, AfterValidator(_as_number)]
    Number = Annotated[Any, AfterValidator(_as_float)]

RecordOf = Annotated[T, BeforeValidator(_object)]
OptionalRecord = Annotated[Optional[T], BeforeValidator(_object_or_none)]  # noqa: UP045
ListOf = Annotated[list[T], BeforeValidator(_objects)]
