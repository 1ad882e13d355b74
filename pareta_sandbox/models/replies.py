"""Parts of a reply besides its text: tool calls, reasoning and log probabilities, in OpenAI's format."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from pareta_sandbox.models.conforming import conform

REASONING = "The question is about this text, and a keyword in it decides."
"""Reasoning of every model that is asked for it; a longer one is billed with more tokens."""

Json = Any  # any JSON value
Function = Mapping[str, Json]


def function_to_call(tools: Sequence[Mapping[str, Json]], choice: Json) -> Function | None:
    """Return the function that a model calls: the one that `tool_choice` names, else the first; None without one."""
    functions: list[Function] = [tool["function"] for tool in tools if tool.get("type") == "function"]
    if choice == "none" or not functions:
        return None
    named = choice.get("function", {}).get("name") if isinstance(choice, dict) else None
    return next((each for each in functions if each.get("name") == named), functions[0])


def arguments_of(function: Function, answer: str) -> str:
    """Return the arguments of a call as JSON text: the fields of an answer, or the answer as the first text."""
    parameters = function.get("parameters")
    properties = parameters.get("properties") if isinstance(parameters, dict) else None
    if not isinstance(properties, dict) or not properties:
        return "{}"
    try:
        found = json.loads(answer)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        found = {next(iter(properties)): answer}
    return conform(json.dumps(found), parameters)


def tool_call(function: Function, arguments: str, prompt: str) -> dict[str, Json]:
    """Return a tool call; the same prompt has the same id."""
    digest = hashlib.sha256(f"{function['name']}\0{prompt}".encode()).hexdigest()
    called = {"name": function["name"], "arguments": arguments}
    return {"id": f"call_{digest[:24]}", "type": "function", "function": called}


def logprobs(tokens: Sequence[str], top: int) -> dict[str, Json]:
    """Return the log probability of each token of an answer, with the `top` likely tokens at its place."""
    return {"content": [{**_likely(token, 0), "top_logprobs": _alternatives(token, top)} for token in tokens]}


def _alternatives(token: str, top: int) -> list[dict[str, Json]]:
    return [_likely(token if rank == 0 else f"{token}{'?' * rank}", rank) for rank in range(top)]


def _likely(token: str, rank: int) -> dict[str, Json]:
    return {
        "token": token,
        "logprob": round(math.log(0.9 * 0.1**rank), 4),
        "bytes": list(token.encode("utf-8", "replace")),
    }
