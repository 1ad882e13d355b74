"""What an answer has to be when `sampling.response_format` asks for JSON: a service does not always keep to it."""

import json
from collections.abc import Callable, Mapping
from typing import Any


def fitting(response_format: Any) -> Callable[[str], bool] | None:  # whatever the sampling fields say
    """Give what tells whether an answer fits the format that was asked for; None where any text does.

    Raises ValueError for a schema that is none.
    """
    schema = _schema_of(response_format)
    if schema is None:
        return None
    # Most batches ask for no format, and the library takes a tenth of a second to import.
    from jsonschema import SchemaError, validators

    kind = validators.validator_for(schema)
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        raise ValueError(f"sampling.response_format has no valid JSON schema: {error.message}") from None
    validator = kind(schema)

    def fits(answer: str) -> bool:
        try:
            return bool(validator.is_valid(json.loads(answer)))
        except ValueError:
            return False

    return fits


def _schema_of(response_format: Any) -> Any:  # a JSON schema, or none
    match response_format:
        case {"type": "json_schema", "json_schema": {"schema": Mapping() | bool() as schema}}:
            return schema
        case {"type": "json_object"}:
            return {"type": "object"}
        case _:
            return None
