"""JSON Schemas of the spec files, for editors."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from pareta_cli.specs import SCHEMA_FIELD

OUTPUT_PATTERN = r"\.(csv|jsonl|parquet)$"
ROWS_OR_EVAL_SET = [{"required": [name], "properties": {name: {"type": "string"}}} for name in ("rows", "eval_set")]
"""Rules of validators that JSON Schema can express, which Pydantic does not derive."""


class _SpecSchema(GenerateJsonSchema):
    """Generator of schemas that accept the same values as the reader of spec files."""

    def timedelta_schema(self, schema: core_schema.TimedeltaSchema) -> JsonSchemaValue:
        """Return the schema of a duration: ISO 8601, or a number of seconds."""
        return {"anyOf": [super().timedelta_schema(schema), {"type": "number"}]}


def schema_of(kind: type[BaseModel]) -> dict[str, Any]:  # a JSON Schema
    """Return the JSON Schema of a spec."""
    schema = kind.model_json_schema(schema_generator=_SpecSchema)
    for model in (schema, *schema.get("$defs", {}).values()):
        _add_rules(model)
    schema["properties"] = {
        SCHEMA_FIELD: {"type": "string", "description": "Schema for editors"},
        **schema["properties"],
    }
    return {"$schema": _SpecSchema.schema_dialect, **schema}


def _add_rules(model: dict[str, Any]) -> None:  # the schema of a model
    fields = model.get("properties", {})
    if "dataset" in fields:
        for option in fields["output"]["anyOf"]:
            if option["type"] == "string":
                option["pattern"] = OUTPUT_PATTERN
    if {"rows", "eval_set"} <= fields.keys():
        model["oneOf"] = ROWS_OR_EVAL_SET
