"""Prompt templates: `{column}` stands for a row's value, `{{` and `}}` for braces."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from string import Formatter

from pareta_batch.values import is_missing, text_of


class MissingValue(ValueError):
    """The row has no value for a column that the prompt names."""

    def __init__(self, column: str) -> None:
        self.column = column
        super().__init__(column)


@dataclass(frozen=True)
class Prompt:
    """A parsed template: pieces of text, each followed by a column's name (None at the end)."""

    pieces: tuple[tuple[str, str | None], ...]

    @classmethod
    def parse(cls, template: str) -> "Prompt":
        """Parse a template.

        Raises ValueError where a brace is unbalanced or a field is more than a column's name.
        """
        try:
            return cls(tuple(_pieces(template)))
        except ValueError as error:
            raise ValueError(f"prompt: {error}; write {{{{ and }}}} for braces that are meant as such") from None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it names, each once, in order."""
        return tuple(dict.fromkeys(column for _, column in self.pieces if column is not None))

    def unknown(self, columns: Sequence[str]) -> tuple[str, ...]:
        """The columns it names that are not among `columns`."""
        return tuple(column for column in self.columns if column not in columns)

    def render(self, row: Mapping[str, object]) -> str:
        """Fill in a row's values; values are never parsed, so braces in documents are safe.

        Raises MissingValue for a column without a value.
        """
        return "".join(text if column is None else text + _shown(row, column) for text, column in self.pieces)


def _pieces(template: str) -> Iterator[tuple[str, str | None]]:
    for text, column, spec, conversion in Formatter().parse(template):
        if spec or conversion:
            raise ValueError(f"{{{column}}} may hold a column's name only, no format")
        if column is not None and not column.strip():
            raise ValueError("{} names no column")
        yield text, column


def _shown(row: Mapping[str, object], column: str) -> str:
    value = row.get(column)
    if is_missing(value):
        raise MissingValue(column)
    return text_of(value)
