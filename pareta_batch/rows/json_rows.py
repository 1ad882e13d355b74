"""Rows of JSON Lines and of JSON arrays, read without holding the file."""

import json
from collections.abc import Iterator, Mapping
from typing import IO

from pareta_batch.errors import DatasetError
from pareta_batch.rows.columns import Record, check_columns
from pareta_batch.rows.values import MAX_NESTING, nesting

READ_CHARS = 1 << 16
"""Characters of one read of a JSON array. Raising it makes fewer reads and holds more text."""

_CUT_TOKEN_CHARS = 12
"""Characters of the longest token that can be cut at the end of a read (`-Infinity`, an escape)."""


class _DuplicateKey(ValueError):
    """An object with two values for one key."""


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _DuplicateKey(f"duplicate key {twice!r:.60}; remove one of its values")
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_object)


def json_lines_rows(text: IO[str], name: str) -> Iterator[Record]:
    """Yield the rows of a JSON Lines file; raises DatasetError with line, and UnicodeDecodeError."""
    checked = _Checked()
    for number, line in enumerate(text, start=1):
        if line.strip():
            place = f"{name} line {number}"
            with_errors = _decoded(line, place)
            yield place, checked.row(with_errors, line, place)


def json_array_rows(text: IO[str], name: str) -> Iterator[Record]:
    """Yield the objects of a JSON array; raises DatasetError with line and item, and UnicodeDecodeError."""
    source, checked = _ArrayText(text), _Checked()
    first = source.next_character()
    if not first:
        return
    if first != "[":
        problem = "no JSON array; use a list of objects, or format: jsonl for one object per line"
        raise DatasetError([f"{name} line {source.line}: {problem}"])
    source.skip(1)
    item = 0
    while source.next_character() != "]" or item:
        item += 1
        place = f"{name} line {source.line}, item {item}"
        value, written = source.value(place)
        yield place, checked.row(value, written, place)
        match source.next_character():
            case ",":
                source.skip(1)
                source.next_character()
            case "]":
                break
            case found:
                raise DatasetError([f"{place}: followed by {found!r}, not by a comma or the end of the array"])
    source.skip(1)
    if rest := source.next_character():
        raise DatasetError([f"{name} line {source.line}: {rest!r} after the end of the array; remove it"])


class _ArrayText:
    """The text of a JSON array from a position on, read as far as its values need it."""

    def __init__(self, text: IO[str]) -> None:
        self._text = text
        self._buffer = ""
        self._at = 0
        self.line = 1

    def next_character(self) -> str:
        """Return the next character that is not blank, without taking it; empty at the end."""
        while True:
            while self._at < len(self._buffer):
                if not (found := self._buffer[self._at]).isspace():
                    return found
                self.skip(1)
            if not self._read():
                return ""

    def skip(self, characters: int) -> None:
        """Take characters."""
        self.line += self._buffer.count("\n", self._at, self._at + characters)
        self._at += characters

    def value(self, place: str) -> tuple[object, str]:
        """Take a JSON value; return it, and its text."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self._buffer, self._at)
            except RecursionError:
                raise DatasetError([_too_deep(place)]) from None
            except json.JSONDecodeError as error:
                if _may_be_cut(error) and self._read():
                    continue
                raise DatasetError([f"{place}: not JSON: {error.msg}"]) from error
            except ValueError as error:
                raise DatasetError([f"{place}: {error}"]) from error
            written = self._buffer[self._at : end]
            self.skip(end - self._at)
            return value, written

    def _read(self) -> bool:
        """Read at least as much as is held, so that a long value is parsed a few times only."""
        self._buffer, self._at = self._buffer[self._at :], 0
        more = self._text.read(max(READ_CHARS, len(self._buffer)))
        self._buffer += more
        return bool(more)


def _may_be_cut(error: json.JSONDecodeError) -> bool:
    return error.msg.startswith("Unterminated string") or error.pos >= len(error.doc) - _CUT_TOKEN_CHARS


class _Checked:
    """Checks of decoded rows; a column is checked when it first occurs."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def row(self, values: object, text: str, place: str) -> Mapping[str, object]:
        """Return the values of a row; raises DatasetError."""
        if not isinstance(values, dict):
            raise DatasetError([f"{place}: not a JSON object: {text.strip()[:60]!r}"])
        # A cheap upper bound first: brackets in texts count too.
        if text.count("[") + text.count("{") > MAX_NESTING and nesting(values) > MAX_NESTING:
            raise DatasetError([_too_deep(place)])
        if (column := _with_lone_surrogate(text, values)) is not None:
            problem = "invalid Unicode: unpaired surrogate (\\ud800 to \\udfff); fix the dataset"
            raise DatasetError([f"{place}, column {column!r}: {problem}"])
        if not values.keys() <= self._known:
            check_columns(place, list(values))
            self._known.update(values)
        return values


def _decoded(text: str, place: str) -> object:
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise DatasetError([_too_deep(place)]) from None
    except _DuplicateKey as error:
        raise DatasetError([f"{place}: {error}"]) from None
    except ValueError as error:
        raise DatasetError([f"{place}: not JSON: {error}"]) from error


def _too_deep(place: str) -> str:
    return f"{place}: nested deeper than {MAX_NESTING} brackets; store the value as text"


def _with_lone_surrogate(text: str, values: Mapping[str, object]) -> str | None:
    # Only an escape can contain an unpaired surrogate; it could be neither sent nor written.
    if "\\u" not in text:
        return None
    for name, value in values.items():
        try:
            json.dumps([name, value], ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return name
    return None
