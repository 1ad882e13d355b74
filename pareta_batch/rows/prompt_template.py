"""Prompt templates: `{column}` is replaced by a row's value, `{{` and `}}` are literal braces."""

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pareta_batch.rows.placeholders import MissingValue, column_of, value_of
from pareta_batch.rows.values import is_missing, text_of

__all__ = ["MissingValue", "Prompt", "jinja_columns"]

_BRACES = re.compile(r"\{\{|\}\}|\{(?P<column>[^{}]*)\}|[{}]")
_JINJA = re.compile(r"\{\{[-+]?(?P<inner>[^{}]*?)[-+]?\}\}")
_EXCERPT = 20
"""Characters of a template that an error quotes."""


@dataclass(frozen=True)
class Prompt:
    """A parsed template: pieces of text, each followed by a placeholder (None at the end)."""

    pieces: tuple[tuple[str, str | None], ...]

    @classmethod
    def parse(cls, template: str, name: str = "prompt") -> "Prompt":
        """Parse the template of the parameter `name`.

        Raises ValueError for an unbalanced brace, or a field that is not a plain column name.
        """
        try:
            return cls(tuple(_pieces(template)))
        except ValueError as error:
            raise ValueError(f"{name}: {error}; write {{{{ and }}}} for literal braces") from None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the template names, in order, without duplicates."""
        return tuple(dict.fromkeys(column for _, column in self.pieces if column is not None))

    def unknown(self, columns: Container[str]) -> tuple[str, ...]:
        """Return the placeholders of the template that read none of the `columns`."""
        return tuple(name for name in self.columns if column_of(name, columns) is None)

    def render(self, row: Mapping[str, object]) -> str:
        """Return the prompt with a row's values; the values are not parsed, so braces in documents are safe.

        Raises MissingValue for a column without a value, and ValueError for a path that its value does not have.
        """
        return "".join(text if column is None else text + _shown(row, column) for text, column in self.pieces)


def jinja_columns(template: str, columns: Sequence[str], *, loose: bool = False) -> tuple[str, ...]:
    """Return the columns that a template names in Jinja syntax: `{{ ticket }}`, `{{ row.ticket | upper }}`.

    `loose`: also `{{ticket}}`, which is literal text in braces if the template names other columns.
    """
    found = (match["inner"] for match in _JINJA.finditer(template))
    names = (each.partition("|")[0].strip() for each in found if loose or each != each.strip() or "|" in each)
    return tuple(dict.fromkeys(each for name in names for each in (name, name.rpartition(".")[2]) if each in columns))


def _pieces(template: str) -> Iterator[tuple[str, str | None]]:
    begin, text = 0, ""
    for match in _BRACES.finditer(template):
        text += template[begin : match.start()]
        begin = match.end()
        column = match["column"]
        if column is not None:
            yield text, _checked(template, match.start(), column)
            text = ""
        elif len(match[0]) == 2:
            text += match[0][0]
        else:
            raise ValueError(f"a single {match[0]!r} {_place(template, match.start())}")
    yield text + template[begin:], None


def _checked(template: str, start: int, column: str) -> str:
    if not column.strip():
        raise ValueError(f"{{}} {_place(template, start)} names no column")
    if column.strip()[0] in "%#":
        raise ValueError(f"{{{column}}} {_place(template, start)} is Jinja syntax; set template: jinja to use it")
    if set(column) & set(":!"):
        raise ValueError(f"{{{column}}} {_place(template, start)} may contain a column name only, no format")
    return column


def _place(template: str, start: int) -> str:
    line = template.count("\n", 0, start) + 1
    character = start - template.rfind("\n", 0, start)
    return f"at line {line}, character {character} ({template[start : start + _EXCERPT]!r})"


def _shown(row: Mapping[str, object], column: str) -> str:
    value = row.get(column)
    return text_of(value_of(column, row) if is_missing(value) else value)
