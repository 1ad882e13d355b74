"""Typed columns of answers with a JSON schema: the Arrow type of each field, and its value."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow

from pareta_batch.rows import json_text

Schema = Mapping[str, Any]  # a JSON schema

MAX_DEPTH = 8
"""Levels of lists and structs in a column; a deeper value is JSON text, as one of a recursive schema."""
INT64 = range(-(2**63), 2**63)

_SIMPLE: Mapping[str, pyarrow.DataType] = {
    "integer": pyarrow.int64(),
    "number": pyarrow.float64(),
    "boolean": pyarrow.bool_(),
    "string": pyarrow.string(),
}
_JSON = pyarrow.string()
"""Type of values that have no single Arrow type: their JSON text."""


def field_types(schema: Schema | None) -> dict[str, pyarrow.DataType]:
    """Return the Arrow type of each field of an object schema; empty for another schema."""
    if schema is None:
        return {}
    found = _resolved(schema, schema)
    properties = found.get("properties")
    if not isinstance(properties, Mapping):
        return {}
    return {str(name): _with_enum(each, schema) for name, each in properties.items()}


def field_values(answer: str | None, types: Mapping[str, pyarrow.DataType]) -> dict[str, object]:
    """Return the value of each field of an answer in its type; None for a missing field or one that does not fit."""
    if not types or answer is None:
        return {}
    try:
        parsed = json.loads(answer)
    except (ValueError, RecursionError):
        return {}
    return {name: fitted(parsed.get(name), kind) for name, kind in types.items()} if isinstance(parsed, dict) else {}


def fitted(value: object, kind: pyarrow.DataType) -> object:
    """Return a JSON value in an Arrow type; None if it does not fit, because an answer must always be writable."""
    is_ = pyarrow.types
    if value is None:
        return None
    if is_.is_boolean(kind):
        return value if isinstance(value, bool) else None
    if is_.is_int64(kind):
        return _whole(value)
    if is_.is_float64(kind):
        return _finite(value)
    if is_.is_dictionary(kind):
        return _text(value) if isinstance(value, str) else None
    if is_.is_list(kind):
        return [fitted(each, kind.value_type) for each in value] if isinstance(value, list) else None
    if is_.is_struct(kind):
        return (
            {each.name: fitted(value.get(each.name), each.type) for each in kind} if isinstance(value, dict) else None
        )
    return _text(value if isinstance(value, str) else json_text(value))


def _whole(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or (isinstance(value, float) and value % 1):
        return None
    try:
        return int(value) if int(value) in INT64 else None
    except (OverflowError, ValueError):  # infinity and NaN
        return None


def _finite(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _text(value: str) -> str:
    return value.encode("utf-8", "replace").decode()


def _with_enum(schema: Any, root: Schema) -> pyarrow.DataType:
    """Return the type of a field; an enumeration of texts is a dictionary, which is a category in pandas."""
    found = _resolved(schema, root)
    texts = [value for value in found.get("enum", ()) if value is not None]
    if texts and all(isinstance(value, str) for value in texts):
        return pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
    return _type(found, root, 0)


def _type(schema: Any, root: Schema, depth: int) -> pyarrow.DataType:
    found = _resolved(schema, root)
    if depth > MAX_DEPTH:
        return _JSON
    if values := [value for value in (*found.get("enum", ()), *_const(found)) if value is not None]:
        return _of_values(values)
    match _kind(found):
        case "array" if "items" in found:
            return pyarrow.list_(_type(found["items"], root, depth + 1))
        case "object" if isinstance(found.get("properties"), Mapping) and found["properties"]:
            fields = found["properties"].items()
            return pyarrow.struct([(str(name), _type(each, root, depth + 1)) for name, each in fields])
        case kind:
            return _SIMPLE.get(kind or "", _JSON)


def _const(schema: Schema) -> Sequence[object]:
    return (schema["const"],) if "const" in schema else ()


def _of_values(values: Sequence[object]) -> pyarrow.DataType:
    for kind, name in ((bool, "boolean"), (int, "integer"), (str, "string")):
        if all(type(value) is kind for value in values):
            return _SIMPLE[name]
    return _SIMPLE["number"] if all(type(value) in (int, float) for value in values) else _JSON


def _kind(schema: Schema) -> str | None:
    kinds = schema.get("type")
    named = {kinds} if isinstance(kinds, str) else set(kinds or ()) - {"null"}
    if named == {"integer", "number"}:
        return "number"
    return next(iter(named)) if len(named) == 1 else None


def _resolved(schema: Any, root: Schema) -> Schema:
    """Return a schema with its local reference followed, and the only alternative to null chosen."""
    for _ in range(MAX_DEPTH):
        if not isinstance(schema, Mapping):
            return {}
        alternatives = next((schema[name] for name in ("anyOf", "oneOf", "allOf") if name in schema), None)
        if isinstance(reference := schema.get("$ref"), str):
            schema = _pointed(root, reference)
        elif isinstance(alternatives, Sequence):
            others = [each for each in alternatives if not (isinstance(each, Mapping) and each.get("type") == "null")]
            if len(others) != 1:
                return {}
            schema = others[0]
        else:
            return schema
    return {}


def _pointed(root: Schema, reference: str) -> Any:  # a JSON value
    if not reference.startswith("#"):
        return {}
    found: Any = root
    for name in reference.removeprefix("#").split("/")[1:]:
        name = name.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, Mapping) else None
    return found
