"""Names of columns: checks of a header."""

from collections.abc import Mapping, Sequence

from pareta_batch.errors import DatasetError

Record = tuple[str, Mapping[str, object]]
"""The place of a row in messages (`rows.csv line 7`), and its values."""

MAX_COLUMN_NAME_CHARS = 1_000
"""Upper bound of the characters of a column name; a longer one is text in place of the header."""


def check_columns(place: str, columns: Sequence[str]) -> None:
    """Check the names of columns; raises DatasetError for a duplicate, or a name that is no name."""
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise DatasetError([f"{place}: duplicate column {', '.join(map(repr, twice))}; rename one"])
    for name in columns:
        if "\0" in name:
            raise DatasetError([f"{place}: column name {name[:60]!r} contains NUL; rename the column"])
        if len(name) > MAX_COLUMN_NAME_CHARS:
            raise DatasetError([f"{place}: column name {name[:60]!r}… has {len(name)} characters; rename the column"])
