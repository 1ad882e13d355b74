"""`--set KEY=VALUE`: single fields of a spec, read by the type of the field that they set."""

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from pareta_cli.spec_reader import MAX_DEPTH, Value, read_value
from pareta_cli.spec_scalars import NULL, SURROGATES, SpecSyntaxError, shown

BEGINS_A_LIST = "["


def override(kind: type[BaseModel], fields: dict[str, Value], setting: str) -> None:
    """Set one field, KEY=VALUE, in the fields of a spec; KEY is dotted for a nested field.

    The value of a text field is used unchanged. Other values are read as in a spec file. `null` resets a field.
    Raises SpecSyntaxError.
    """
    key, equals, text = setting.partition("=")
    *parents, last = key.split(".")
    if not equals or not last or not all(parents):
        raise SpecSyntaxError("write it as key=value")
    if len(parents) >= MAX_DEPTH:
        raise SpecSyntaxError(f"nested more than {MAX_DEPTH} levels deep")
    for parent in parents:
        inner = fields.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise SpecSyntaxError(f"{shown(parent)} has no fields of its own")
        fields = inner
    fields[last] = _value(_annotation_at(kind, [*parents, last]), text)


def _value(annotation: Any, text: str) -> Value:  # a type, a union, or Any for an unknown field
    types = set(_types_in(annotation))
    if str not in types:
        return read_value(text)
    if NoneType in types and text and NULL.fullmatch(text):
        return None
    if tuple in types and text.lstrip().startswith(BEGINS_A_LIST):
        return read_value(text, all_text=True)
    if SURROGATES.search(text):
        raise SpecSyntaxError("a byte of the value is not allowed: it is not UTF-8")
    return text


def _annotation_at(kind: type[BaseModel], path: list[str]) -> Any:  # a type, a union, or Any
    """Return the type of the field at this path; Any for a field that no model declares."""
    name, *inner = path
    field = kind.model_fields.get(name)
    if field is None:
        return getattr(kind, "undeclared", {}).get(name, Any) if not inner else Any
    if not inner:
        return field.annotation
    models = [each for each in _types_in(field.annotation) if isinstance(each, type) and issubclass(each, BaseModel)]
    return _annotation_at(models[0], inner) if models else Any


def _types_in(annotation: Any) -> Iterator[Any]:  # types, also those inside of collections
    """Yield the types that a value of this annotation can have; a tuple yields itself and the type of its items."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _types_in(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for member in get_args(annotation):
            yield from _types_in(member)
    elif origin is Literal:
        yield from map(type, get_args(annotation))
    else:
        yield annotation if origin is None else origin
        if origin is tuple:
            for item in get_args(annotation):
                yield from _types_in(item)
