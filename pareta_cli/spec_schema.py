"""JSON Schemas of the spec files, for editors."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from pareta_cli.spec_rules import rules_for
from pareta_cli.specs import SCHEMA_FIELD


class _SpecSchema(GenerateJsonSchema):
    """Generator of schemas that accept the same values as the reader of spec files."""

    def timedelta_schema(self, schema: core_schema.TimedeltaSchema) -> JsonSchemaValue:
        """Return the schema of a duration: ISO 8601, or a number of seconds."""
        return {"anyOf": [super().timedelta_schema(schema), {"type": "number"}]}


def schema_of(kind: type[BaseModel]) -> dict[str, Any]:  # a JSON Schema
    """Return the JSON Schema of a spec, with the rules between its fields."""
    schema = kind.model_json_schema(schema_generator=_SpecSchema)
    for model in (schema, *schema.get("$defs", {}).values()):
        if rules := rules_for(model.get("properties", {})):
            model["allOf"] = rules
    schema["properties"] = {
        SCHEMA_FIELD: {"type": "string", "description": "Schema for editors"},
        **schema["properties"],
    }
    return {"$schema": _SpecSchema.schema_dialect, **schema}
