"""Rules of a JSON schema between fields, so that a form or a server refuses a value before a run starts.

The models check the same rules. A rule holds only for a complete value: other values are merged into those of a
deployment first. `dependentSchemas` and `if` hold the rules, because Prefect's form shows an `allOf` as a choice.
"""

from typing import Any

JsonSchema = dict[str, Any]  # any JSON

TEXT = {"type": "string"}
QUESTIONS = ("prompt", "messages", "messages_column")
"""Fields of a batch that each hold its question."""


def has_question() -> JsonSchema:
    """Return the schema of a batch with a dataset and a question: a batch that needs nothing of a deployment."""
    return {"required": ["dataset"], "anyOf": [{"required": [each]} for each in QUESTIONS]}


def budget_needs_max_tokens(schema: JsonSchema, part: str | None = None) -> None:
    """Add the rule that `budget_usd` needs `sampling.max_tokens` to the schema of a model.

    Args:
        schema: Schema of the model, changed in place.
        part: Field with the batch; None for the model itself.
    """
    other_bounds = {"anyOf": [{"required": ["max_completion_tokens"]}, {"required": ["extra_body"]}]}
    max_tokens = {"required": ["max_tokens"], "properties": {"max_tokens": {"type": "integer"}}}
    bounded = {"if": other_bounds, "else": max_tokens}
    rule: JsonSchema = {"required": ["sampling"], "properties": {"sampling": bounded}}
    given: JsonSchema = {"required": schema["required"], "properties": {"budget_usd": {"type": "number"}}}
    if part is None:
        given["anyOf"] = has_question()["anyOf"]
    else:
        rule = {"properties": {part: rule}}
        given["properties"][part] = has_question()
    schema["dependentSchemas"] = {"budget_usd": {"if": given, "then": rule}}


def needs(schema: JsonSchema, rule: JsonSchema, given: JsonSchema | None = None) -> None:
    """Add a rule for complete values to the schema of a model; `given` are properties under which it holds."""
    schema["if"] = {"required": schema["required"], "properties": given or {}}
    schema["then"] = rule
