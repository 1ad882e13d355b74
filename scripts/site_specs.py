"""Reference page of the spec files: a table of the fields of every model, from its JSON Schema."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from pareta_cli.spec_kinds import Command, kind_of
from pareta_cli.spec_schema import schema_of

Schema = Mapping[str, Any]  # a JSON Schema, or a part of one

BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
INTRODUCTION = """# Fields of the specs

A spec is a YAML or JSON file. The tables are generated from the models that read it. `pareta-pipeline schema COMMAND`
prints the JSON Schema of a spec. A field without a default is required. `null` means: not set.
"""


def specs_page() -> str:
    """Return the page with the fields of every spec, and of every mapping inside of one."""
    schemas = {command: schema_of(kind_of(command)) for command in Command}
    nested: dict[str, Schema] = {}
    for schema in schemas.values():
        nested |= schema.get("$defs", {})
    sections = [_section(f"`{command}`", schema) for command, schema in schemas.items()]
    sections += [_section(_heading(name), nested[name]) for name in sorted(nested)]
    return "\n\n".join([INTRODUCTION, *sections])


def _heading(name: str) -> str:
    return f"Mapping {name}"


def _section(heading: str, schema: Schema) -> str:
    rows = [_row(name, field, schema.get("required", ())) for name, field in schema["properties"].items()]
    lines = [f"## {heading}", "", schema.get("description", ""), ""]
    if schema.get("additionalProperties") is True:
        lines += ["Further fields are accepted.", ""]
    return "\n".join([*lines, "| field | meaning | type | default |", "|---|---|---|---|", *rows])


def _row(name: str, field: Schema, required: object) -> str:
    is_required = isinstance(required, list | tuple) and name in required
    default = "required" if is_required else _value(field["default"]) if "default" in field else "–"
    meaning = " ".join(str(field.get("description", "")).split()).replace("<", "&lt;")
    return f"| `{name}` | {_cell(meaning)} | {type_of(field)} | {default} |"


def type_of(field: Schema) -> str:
    """Return the type of a field in words, with its bounds; a mapping is a link to its section."""
    match field:
        case {"$ref": ref}:
            name = ref.rpartition("/")[2]
            return f"[{name}](#{_heading(name).lower().replace(' ', '-')})"
        case {"anyOf": options} | {"oneOf": options}:
            return " or ".join(dict.fromkeys(type_of(option) for option in options))
        case {"allOf": [option]}:
            return type_of(option)
        case {"enum": values}:
            return ", ".join(_value(value) for value in values)
        case {"const": value}:
            return _value(value)
        case {"type": "array"}:
            return " ".join(["list of", type_of(field.get("items", {}))])
        case {"type": "object"}:
            return "mapping"
        case {"type": "null"}:
            return "`null`"
        case {"type": kind}:
            return " ".join([_KINDS.get(kind, str(kind)), *_bounds(field)])
        case _:
            return "any"


_KINDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "`true`, `false`"}


def _bounds(field: Schema) -> Iterator[str]:
    if "minimum" in field and "maximum" in field:
        yield f"from {_number(field['minimum'])} to {_number(field['maximum'])}"
    else:
        bounds = [f"{sign} {_number(field[name])}" for name, sign in BOUNDS.items() if name in field]
        yield from [", ".join(bounds)] if bounds else []
    if field.get("maxLength"):
        yield f"of at most {field['maxLength']} characters"
    if field.get("format") == "duration":
        yield "(a duration in ISO 8601)"


def _number(bound: float) -> str:
    return f"{Decimal(repr(bound)):,f}".removesuffix(".0")


def _value(value: object) -> str:
    import json

    return f"`{_cell(json.dumps(value, ensure_ascii=False))}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
