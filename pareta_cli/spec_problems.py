"""What is wrong with the fields of a spec, in a few lines: which field, which value, and the name that was meant."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pareta_cli.spec_scalars import shown

MOST_LINES = 3
"""Lines of a message; raising it shows more problems of one spec at once."""
CLOSE = 0.6
"""Least likeness of a name (0 to 1) to be proposed; raising it proposes fewer names."""

SECRET = "pareta_sk_"  # noqa: S105  (the prefix that tells a key)


def explained(kind: type[BaseModel], error: ValidationError) -> list[str]:
    """Return a line for each field that does not fit, at most MOST_LINES in all."""
    lines: dict[str, str] = {}
    for problem in error.errors(include_url=False):
        place = _place(problem)
        lines.setdefault(place, f"{place}: {_said(kind, problem)}")
    told = list(lines.values())
    if len(told) <= MOST_LINES:
        return told
    return [*told[: MOST_LINES - 1], f"… and {len(told) - MOST_LINES + 1} more fields that do not fit"]


def _said(kind: type[BaseModel], problem: ErrorDetails) -> str:
    said = " ".join(problem["msg"].split())
    match problem["type"]:
        case "missing":
            return said
        case "extra_forbidden":
            # Without the value: a key that was put here by mistake must not reach a log.
            return f"{said}; {_meant(kind, problem['loc'])}"
        case "string_type" if problem["input"] is not None:
            return f"{said}{_given(problem)}; put the value in quotation marks"
        case "value_error":
            # Our own validators name the value themselves.
            return said.removeprefix("Value error, ")
        case _:
            return f"{said}{_given(problem)}"


def _given(problem: ErrorDetails) -> str:
    value = f"{problem['input']!r:.80}"
    return "" if SECRET in value else f" (it is {value})"


def _place(problem: ErrorDetails) -> str:
    *parents, last = problem["loc"] or ("the whole",)
    # Pydantic names the members of a union on the way: they are no fields.
    named = [part for part in parents if not (isinstance(part, str) and "[" in part)]
    if problem["type"] == "extra_forbidden" or not (named and isinstance(last, str) and "[" in last):
        named.append(last)
    return ".".join(map(_part, named))


def _part(part: int | str) -> str:
    plain = isinstance(part, int) or part.replace("_", "").replace("-", "").replace(" ", "").isalnum()
    return str(part) if plain and len(str(part)) <= 60 else shown(str(part))


def _meant(kind: type[BaseModel], loc: Sequence[int | str]) -> str:
    """Return the field that was probably meant, else the fields there are."""
    *parents, name = loc
    model = _model_at(kind, parents)
    fields = list(model.model_fields)
    if close := get_close_matches(str(name).lower(), fields, n=1, cutoff=CLOSE):
        return f"did you mean {close[0]}?"
    return f"{model.model_config.get('title', model.__name__)} has: {', '.join(fields)}"


def _model_at(kind: type[BaseModel], loc: Sequence[int | str]) -> type[BaseModel]:
    """Return the model whose field it is, found by the names on the way."""
    model = kind
    for part in loc:
        if isinstance(part, str) and (field := model.model_fields.get(part)) is not None:
            model = next(_models_in(field.annotation), model)
    return model


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:  # a type, or what stands for several
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
