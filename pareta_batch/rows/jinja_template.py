"""Jinja templates of prompts: conditions and loops over a row's values, in a sandbox without files or functions."""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from pareta_batch.rows.values import is_missing, text_of

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import SandboxedEnvironment

ROW = "row"
"""Name of the mapping of all columns, for column names that are not identifiers: `row["due date"]`."""

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+>")


@dataclass(frozen=True)
class JinjaPrompt:
    """A compiled Jinja template; `columns` are the names that it reads."""

    columns: tuple[str, ...]
    template: "Template"

    @classmethod
    def parse(cls, template: str, name: str = "prompt") -> "JinjaPrompt":
        """Parse the template of the parameter `name`. Raises ValueError for invalid syntax."""
        # Imported late: most batches use no Jinja.
        from jinja2 import TemplateError, meta

        try:
            tree = _environment().parse(template)
            names = meta.find_undeclared_variables(tree) - _environment().globals.keys()
            return cls(tuple(sorted(names)), _environment().from_string(template))
        except TemplateError as error:
            line = getattr(error, "lineno", None)
            raise ValueError(f"{name}{f' line {line}' if line else ''}: invalid Jinja: {error}") from None

    def unknown(self, columns: Container[str]) -> tuple[str, ...]:
        """Return the names of the template that are no columns, in no branch."""
        return tuple(name for name in self.columns if name not in columns and name != ROW)

    def render(self, row: Mapping[str, object]) -> str:
        """Return the prompt with a row's values.

        Raises ValueError for an unknown name, a printed name without a value, or a failed expression.
        """
        from jinja2 import TemplateError, UndefinedError

        try:
            return self.template.render({ROW: row, **row})
        except _Empty:
            empty = [repr(name) for name in self.columns if is_missing(row.get(name))]
            raise ValueError(
                f"the template prints a missing value (no value: {', '.join(empty) or 'inside a value'}); "
                "test it with {% if %}, or print {{ name or '' }}"
            ) from None
        except UndefinedError as error:
            raise ValueError(f"template: {error.message}; use a column, or test it with 'is defined'") from None
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"template: {type(error).__name__}: {error}; fix the template or the row") from None
        except (RecursionError, MemoryError, OverflowError) as error:
            raise ValueError(f"template: {type(error).__name__}; make the template smaller") from None


class _Empty(Exception):
    """A printed value that is missing."""


@cache
def _environment() -> "SandboxedEnvironment":
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, keep_trailing_newline=True, finalize=_printed
    )
    # Random texts would make every run new work, which is paid again.
    del environment.globals["lipsum"], environment.filters["random"]
    return environment


def _printed(value: object) -> str:
    """Return the text of a printed value, as a placeholder has it. Raises _Empty, and ValueError for no data."""
    if is_missing(value):
        raise _Empty
    text = text_of(value)
    if not isinstance(value, str) and _ADDRESS.search(text):
        raise ValueError(f"{type(value).__name__} is no text; print a value, for example with '| join'")
    return text
