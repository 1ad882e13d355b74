"""Answers that are corrected after a complaint: values are converted to the types of a JSON schema."""

import json
from collections.abc import Mapping
from typing import Any

DEFAULTS: Mapping[str, object] = {
    "integer": 0,
    "number": 0.0,
    "boolean": False,
    "string": "",
    "array": [],
    "object": {},
}

Json = Any  # any JSON value


def conform(answer: str, schema: Json) -> str:
    """Return a JSON object with the properties of a schema, each converted to its type; other answers unchanged."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict):
        return answer
    try:
        found = json.loads(answer)
    except ValueError:
        found = {}
    own = found if isinstance(found, dict) else {}
    return json.dumps({name: _converted(own.get(name), each) for name, each in properties.items()}, ensure_ascii=False)


def _converted(value: Json, schema: Json) -> Json:
    if not isinstance(schema, dict):
        return value
    if options := schema.get("enum"):
        return value if value in options else options[0]
    kinds = schema.get("type", "string")
    allowed = [kinds] if isinstance(kinds, str) else list(kinds)
    if value is None and "null" in allowed:
        return None
    kind = next(each for each in allowed if each != "null")
    try:
        match kind:
            case "integer":
                return int(float(value))
            case "number":
                return float(value)
            case "string":
                return "" if value is None else str(value)
    except (TypeError, ValueError):
        return DEFAULTS[kind]
    return value if value is not None else DEFAULTS.get(kind)
