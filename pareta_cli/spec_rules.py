"""Rules between the fields of a spec as JSON Schema: what the models check and Pydantic does not derive.

Each rule refuses only what the reader of specs refuses too. Null counts as absent.
"""

from collections.abc import Mapping

from pareta_batch import QUESTIONS, JsonSchema, Sampling, Source

NULL: JsonSchema = {"type": "null"}


def rules_for(fields: Mapping[str, object]) -> list[JsonSchema]:
    """Return the rules of the model with these fields."""
    return [rule for known, rules in RULES if known in fields for rule in rules]


def given(field: str, value: JsonSchema | None = None) -> JsonSchema:
    """Return the schema of an object that has a field, with a value of this schema; by default any but null."""
    return {"required": [field], "properties": {field: value or {"not": NULL}}}


def either(*schemas: JsonSchema) -> JsonSchema:
    """Return the schema of a value that fits at least one schema."""
    return {"anyOf": list(schemas)}


def neither(*schemas: JsonSchema) -> JsonSchema:
    """Return the schema of a value that fits none of the schemas."""
    return {"not": either(*schemas)}


def not_both(one: JsonSchema, other: JsonSchema) -> JsonSchema:
    """Return the schema of a value that fits at most one of two schemas, or neither."""
    return {"not": {"allOf": [one, other]}}


def where(condition: JsonSchema, rule: JsonSchema, otherwise: JsonSchema | None = None) -> JsonSchema:
    """Return a rule that holds for values of one schema, with another rule for all other values."""
    return {"if": condition, "then": rule, "else": True if otherwise is None else otherwise}


_FOR_OPENAI = given("dataset", given("format", {"const": "openai_batch"}) | {"type": "object"})
_ONE_QUESTION: JsonSchema = {"oneOf": [given(field) for field in QUESTIONS]}
# `extra_body` is merged over the other fields, so it can remove the format.
_HAS_FORMAT = given("sampling", given("response_format") | {"type": "object", "not": {"required": ["extra_body"]}})
_MAY_HAVE_FORMAT = given("sampling", either(given("response_format"), {"required": ["extra_body"]}))
_A_QUESTION_BY_ROLE: JsonSchema = {
    "contains": {"properties": {"role": {"not": {"enum": ["system", "developer"]}}}},
}

_OF_BATCH: tuple[JsonSchema, ...] = (
    where(_FOR_OPENAI, neither(given("prompt"), given("messages")), _ONE_QUESTION),
    not_both(given("messages"), given("system_prompt")),
    where(given("messages", {"type": "array"}), {"properties": {"messages": _A_QUESTION_BY_ROLE}}),
    not_both(given("answer_schema"), _HAS_FORMAT),
    where(
        given("ask_again", {"type": "integer", "minimum": 1}),
        either(given("answer_schema"), _MAY_HAVE_FORMAT),
    ),
    where(
        given("output_format", {"const": "openai_batch"}),
        where(
            given("output", {"type": "string", "pattern": "/$"}),
            given("part_format", {"const": "jsonl"}),
            {"properties": {"output": either(NULL, {"pattern": r"\.jsonl$"})}},
        ),
    ),
    {
        "properties": {
            "sampling_columns": {
                "propertyNames": {"not": {"enum": sorted(Sampling.reserved | Sampling.one_per_batch)}}
            },
        }
    },
)

_OF_SOURCE: tuple[JsonSchema, ...] = (
    *(
        not_both(given(option), given("format", {"not": {"enum": [*formats, None]}}))
        for option, formats in Source.options.items()
    ),
    {"properties": {"delimiter": either(NULL, {"pattern": r'^[^"\r\n\u0000]$', "maxLength": 1})}},
    {"properties": {"path": {"not": {"pattern": r"^[^?#]*\.(parquet|xlsx)\.(gz|zst)$"}}}},
)

_OF_COMPARISON: tuple[JsonSchema, ...] = (
    {"oneOf": [given("rows"), given("eval_set")]},
    where(given("rows"), either(given("task"), given("prompt"))),
    where(
        either(
            given("group_column", {"type": "string", "minLength": 1}),
            given("slice_column", {"type": "string", "minLength": 1}),
            given("document_fields", {"type": "array", "minItems": 1}),
        ),
        given("rows"),
    ),
)

_OF_PIPELINE: tuple[JsonSchema, ...] = (
    where({"properties": {"model": {"not": {"pattern": "^(auto$|ep_)"}}}}, given("task")),
    not_both(given("truth_column"), given("batch", given("output_format", {"const": "openai_batch"}))),
)

RULES: tuple[tuple[str, tuple[JsonSchema, ...]], ...] = (
    ("dataset", _OF_BATCH),
    ("delimiter", _OF_SOURCE),
    ("temperature", ({"properties": dict.fromkeys(sorted(Sampling.reserved), NULL)},)),
    ("column", ({"oneOf": [given("column"), given("path")]},)),
    (
        "role",
        (where({"properties": {"role": {"not": {"const": "user"}}}}, {"properties": {"content": {"type": "string"}}}),),
    ),
    ("eval_set", _OF_COMPARISON),
    ("truth_column", _OF_PIPELINE),
    ("policy", ({"properties": {"comparison": given("task")}},)),
)
"""Rules by a field that only the models with these rules have."""
