"""Messages for invalid fields of a spec or a call: the field, its value, and the closest valid name."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

Kind = TypeVar("Kind", bound=BaseModel)

MAX_LINES = 3
"""Lines of a message. Raising it shows more problems of one spec at once."""
MIN_NAME_SIMILARITY = 0.6
"""Least similarity (0 to 1) of a proposed name. Raising it proposes fewer names."""

SECRET = "pareta_sk_"  # noqa: S105  (the prefix of a key)


class InvalidOptions(ValueError):
    """Invalid arguments of a call that sent nothing; `problems` has a line for each, and `fields` its name."""

    def __init__(self, call: str, problems: Sequence[str]) -> None:
        self.call = call
        self.problems = tuple(problems)
        super().__init__(call, self.problems)

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the invalid arguments, with those of their own fields: `sampling.max_tokens`."""
        return tuple(problem.partition(":")[0] for problem in self.problems)

    def __str__(self) -> str:
        return "\n".join(f"{self.call}: {problem}{_next_step(problem)}" for problem in self.problems)


def checked_options(kind: type[Kind], call: str, options: Mapping[str, object]) -> Kind:
    """Return the model of the arguments of a call; raises InvalidOptions."""
    try:
        return kind.model_validate(options)
    except ValidationError as error:
        raise InvalidOptions(call, problem_lines(kind, error, name="options")) from None


def _next_step(problem: str) -> str:
    return "" if "; " in problem else "; correct it, and call again"


def problem_lines(
    kind: type[BaseModel], error: ValidationError, shown: Callable[[str], str] = ascii, name: str = "spec"
) -> list[str]:
    """Return one line for each invalid field, at most MAX_LINES in total.

    `shown` quotes an unusual name; `name` is the place of a problem of no single field.
    """
    lines: dict[str, str] = {}
    for problem in error.errors(include_url=False):
        place = _place(problem, shown, name)
        lines.setdefault(place, f"{place}: {_message(kind, problem)}")
    shown_lines = list(lines.values())
    if len(shown_lines) <= MAX_LINES:
        return shown_lines
    return [*shown_lines[: MAX_LINES - 1], f"… and {len(shown_lines) - MAX_LINES + 1} more invalid fields"]


def _message(kind: type[BaseModel], problem: ErrorDetails) -> str:
    text = " ".join(problem["msg"].split())
    match problem["type"]:
        case "missing":
            return text
        case "extra_forbidden":
            # Without the value: it may be a misplaced key, which must not reach a log.
            return f"{text}; {_suggestion(kind, problem['loc'])}"
        case "string_type" if problem["input"] is not None:
            return f"{text}{_value_part(problem)}; put the value in quotation marks"
        case "value_error":
            # Our own validators include the value.
            return text.removeprefix("Value error, ")
        case _:
            return f"{text}{_value_part(problem)}"


def _value_part(problem: ErrorDetails) -> str:
    value = f"{problem['input']!r:.80}"
    return "" if SECRET in value else f" (it is {value})"


def _place(problem: ErrorDetails, shown: Callable[[str], str], name: str) -> str:
    *parents, last = problem["loc"] or (name,)
    # Pydantic adds the members of a union to the path; they are not fields.
    named = [part for part in parents if not (isinstance(part, str) and "[" in part)]
    if problem["type"] == "extra_forbidden" or not (named and isinstance(last, str) and "[" in last):
        named.append(last)
    return ".".join(_part(part, shown) for part in named)


def _part(part: int | str, shown: Callable[[str], str]) -> str:
    plain = isinstance(part, int) or part.replace("_", "").replace("-", "").replace(" ", "").isalnum()
    return str(part) if plain and len(str(part)) <= 60 else shown(str(part))


def _suggestion(kind: type[BaseModel], loc: Sequence[int | str]) -> str:
    """Return the closest field name, else all field names."""
    *parents, name = loc
    model = _model_at(kind, parents)
    fields = list(model.model_fields)
    if close := get_close_matches(str(name).lower(), fields, n=1, cutoff=MIN_NAME_SIMILARITY):
        return f"did you mean {close[0]}?"
    return f"{model.model_config.get('title', model.__name__)} has: {', '.join(fields)}"


def _model_at(kind: type[BaseModel], loc: Sequence[int | str]) -> type[BaseModel]:
    """Return the model that has the field at this path."""
    model = kind
    for part in loc:
        if isinstance(part, str) and (field := model.model_fields.get(part)) is not None:
            model = next(_models_in(field.annotation), model)
    return model


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:  # a type or a union
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
