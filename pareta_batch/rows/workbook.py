"""Rows of a sheet of an .xlsx workbook, read one row at a time."""

import zipfile
from collections.abc import Iterator, Sequence
from typing import IO, Any
from xml.etree.ElementTree import ParseError

from openpyxl import load_workbook
from openpyxl.utils import get_column_letter

from pareta_batch.errors import DatasetError
from pareta_batch.rows.columns import Record, check_columns
from pareta_batch.rows.values import text_of

Row = Sequence[Any]  # openpyxl has no types


def workbook_rows(file: IO[bytes], name: str, sheet: str | None) -> Iterator[Record]:
    """Yield the rows below the header of a sheet, without blank rows; a formula has its stored result.

    Raises DatasetError with row.
    """
    try:
        book = load_workbook(file, read_only=True, data_only=True)
        yield from _rows(_sheet(book, name, sheet), name)
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, ParseError) as error:
        problem = f"not a readable .xlsx workbook ({error}); save it again as .xlsx, without a password"
        raise DatasetError([f"{name}: {problem}"]) from error


def _sheet(book: Any, name: str, sheet: str | None) -> Any:  # openpyxl has no types
    sheets = {each.title: each for each in book.worksheets}
    visible = [title for title, each in sheets.items() if each.sheet_state == "visible"]
    if sheet is None and len(visible) == 1:
        return sheets[visible[0]]
    names = ", ".join(map(repr, sheets))
    if sheet is None:
        raise DatasetError([f"{name}: {len(visible)} visible sheets; set sheet to one of: {names}"])
    if sheet not in sheets:
        raise DatasetError([f"{name}: no sheet {sheet!r}; it has: {names}"])
    return sheets[sheet]


def _rows(sheet: Any, name: str) -> Iterator[Record]:
    # The size that a file states may be too small.
    sheet.reset_dimensions()
    header: list[str] | None = None
    for number, cells in enumerate(sheet.iter_rows(), start=1):
        place = f"{name} row {number}"
        values = _values(cells, place)
        if not values:
            continue
        if header is None:
            header = _header(values, place)
        elif len(values) > len(header):
            column = get_column_letter(len(values))
            raise DatasetError([f"{place}: a value in column {column}, which has no name in the header"])
        else:
            padded = [*values, *[None] * (len(header) - len(values))]
            yield place, dict(zip(header, padded, strict=True))


def _values(cells: Row, place: str) -> list[object]:
    """Return the values up to the last one; an empty text is no value."""
    for cell in cells:
        if cell.data_type == "e":
            raise DatasetError([f"{place}, column {get_column_letter(cell.column)}: {cell.value}; fix the workbook"])
    values = [None if cell.value == "" else cell.value for cell in cells]
    while values and values[-1] is None:
        values.pop()
    return values


def _header(values: Sequence[object], place: str) -> list[str]:
    for index, value in enumerate(values, start=1):
        if value is None:
            raise DatasetError([f"{place}: column {get_column_letter(index)} has no name; name it, or remove it"])
    header = [text_of(value) for value in values]
    check_columns(place, header)
    return header
