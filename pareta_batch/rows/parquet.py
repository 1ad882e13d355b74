"""Rows of Arrow batches as Python values, with the row and column of each unreadable value."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pyarrow

from pareta_batch.errors import MAX_PROBLEMS_SHOWN, DatasetError

# Raised by pyarrow for invalid UTF-8, years after 9999, and unknown time zones.
UNREADABLE = (ValueError, OverflowError, LookupError, pyarrow.ArrowException)

DAY_S = 86_400
PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def arrow_rows(
    schema: pyarrow.Schema, batches: Iterable[pyarrow.RecordBatch], name: str
) -> Iterator[dict[str, object]]:
    """Yield the rows of batches, with texts that are stored as bytes decoded.

    Raises DatasetError, with file `name`, row and column, for a value that Python or UTF-8 cannot represent.
    """
    first = 1
    as_bytes = [field.name for field in schema if _holds(_is_binary, field.type)]
    times = [field.name for field in schema if _holds(pyarrow.types.is_time, field.type)]
    for chunk in batches:
        if problems := _bad_times(chunk, times, name, first):
            raise DatasetError(problems)
        try:
            rows = chunk.to_pylist()
            for column in as_bytes:
                for row in rows:
                    row[column] = decoded(row[column])
        except UNREADABLE as error:
            raise DatasetError(_unreadable(chunk, name, first) or [f"{name}: {error}"]) from error
        yield from rows
        first += len(rows)


def decoded(value: object) -> object:
    """Return a value with all nested bytes decoded as text; raises UnicodeDecodeError."""
    match value:
        case bytes():
            return value.decode()
        case list() | tuple():
            return type(value)(decoded(item) for item in value)
        case dict():
            return {key: decoded(item) for key, item in value.items()}
        case _:
            return value


def fraction_digits(schema: pyarrow.Schema, batches: Iterable[pyarrow.RecordBatch]) -> Mapping[str, int]:
    """Return the decimals of a second that each timestamp column needs: 0, 3, 6 or 9.

    CSV readers do not recognise timestamps in a column with different numbers of decimals.
    """
    stamps = timestamps(schema)
    digits = {field.name: 0 for field in stamps}
    for chunk in batches if digits else ():
        for field in stamps:
            digits[field.name] = max(digits[field.name], _digits(chunk.column(field.name), field.type.unit))
    return digits


def timestamps(schema: pyarrow.Schema) -> list[pyarrow.Field]:
    """Return the timestamp columns."""
    return [field for field in schema if pyarrow.types.is_timestamp(field.type)]


def merged_schema(schemas: Iterable[pyarrow.Schema]) -> pyarrow.Schema:
    """Return the columns of several files; a type that fits both, and text for types without one."""
    first, *others = schemas
    if all(first.equals(each) for each in others):
        return first
    fields = {field.name: field for field in first}
    for other in others:
        for field in other:
            fields[field.name] = _merged(fields.get(field.name, field), field)
    return pyarrow.schema([*fields.values()])


def _merged(one: pyarrow.Field, other: pyarrow.Field) -> pyarrow.Field:
    try:
        both = [pyarrow.schema([each.remove_metadata()]) for each in (one, other)]
        return pyarrow.unify_schemas(both, promote_options="permissive").field(0)
    except pyarrow.ArrowException:
        return pyarrow.field(one.name, pyarrow.string())


def _holds(is_wanted: Callable[[pyarrow.DataType], bool], kind: pyarrow.DataType) -> bool:
    """Return whether a type is one that is wanted, or holds one."""
    is_ = pyarrow.types
    if is_.is_dictionary(kind):
        return _holds(is_wanted, kind.value_type)
    return is_wanted(kind) or (
        is_.is_nested(kind) and any(_holds(is_wanted, kind.field(i).type) for i in range(kind.num_fields))
    )


def _is_binary(kind: pyarrow.DataType) -> bool:
    is_ = pyarrow.types
    return bool(
        is_.is_binary(kind) or is_.is_large_binary(kind) or is_.is_fixed_size_binary(kind) or is_.is_binary_view(kind)
    )


def _unreadable(chunk: pyarrow.RecordBatch, name: str, first: int) -> list[str]:
    problems: list[tuple[int, str]] = []
    for column, values in zip(chunk.schema.names, chunk.columns, strict=True):
        for index, value in enumerate(values):
            if problem := _problem(lambda value=value: decoded(value.as_py())):  # type: ignore[misc]
                problems.append((index, f"{name} row {first + index}, column {column!r}: {problem}"))
    return [text for _, text in sorted(problems)[:MAX_PROBLEMS_SHOWN]]


def _problem(read: Callable[[], object]) -> str | None:
    try:
        read()
    except UnicodeDecodeError as error:
        return f"bytes that are not UTF-8 ({error.object[:20]!r}); store texts as UTF-8, or leave the column out"
    except OverflowError as error:
        return f"out of the range of dates and times ({error}); store it as text, or leave the column out"
    except UNREADABLE as error:
        return f"not readable ({error}); store it as text, or leave the column out"
    return None


def _bad_times(chunk: pyarrow.RecordBatch, columns: list[str], name: str, first: int) -> list[str]:
    """Return the problems of times that Python would silently change: beyond 24 hours, or with nanoseconds."""
    problems = []
    for column in columns:
        values = chunk.column(column)
        for index in range(len(values)) if _has_bad_time(values) else ():
            if _has_bad_time(values.slice(index, 1)):
                problem = "is no time of day to the microsecond; store it as text, or leave the column out"
                problems.append(f"{name} row {first + index}, column {column!r}: {problem}")
    return problems[:MAX_PROBLEMS_SHOWN]


def _has_bad_time(values: pyarrow.Array) -> bool:
    is_, kind = pyarrow.types, values.type
    if is_.is_time(kind):
        per_second = PER_SECOND[kind.unit]
        return not all(number is None or _is_time(number, per_second) for number in _numbers(values))
    if is_.is_dictionary(kind):
        return _has_bad_time(values.dictionary_decode())
    if is_.is_struct(kind):
        return any(map(_has_bad_time, values.flatten()))
    if is_.is_map(kind):
        values = values.cast(pyarrow.list_(kind.field(0).type))
    # Only the values in the slice, unlike `values.values`.
    return is_.is_nested(kind) and _has_bad_time(values.flatten())


def _is_time(number: int, per_second: int) -> bool:
    return 0 <= number < DAY_S * per_second and (per_second < PER_SECOND["ns"] or number % 1_000 == 0)


def _numbers(values: pyarrow.Array) -> list[int | None]:
    width = pyarrow.int32() if values.type.bit_width == 32 else pyarrow.int64()
    numbers: list[int | None] = values.view(width).to_pylist()
    return numbers


def _digits(values: pyarrow.Array, unit: str) -> int:
    # Only now: it takes a tenth of the start, and most datasets have no timestamps of Arrow.
    from pyarrow import compute

    numbers: Any = values.view(pyarrow.int64())  # pyarrow has no types
    for digits in (0, 3, 6):
        step = PER_SECOND[unit] // 10**digits
        whole = compute.multiply(compute.divide(numbers, step or 1), step or 1)
        if compute.all(compute.equal(whole, numbers)).as_py() is not False:
            return digits
    return 9
