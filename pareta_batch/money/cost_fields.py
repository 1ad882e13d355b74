"""Request fields by their effect on the cost of a request.

The cost of a field that is in none of these tables cannot be bounded: it is refused together with a budget.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Fields = Mapping[str, Any]  # request fields: any JSON value

EXTRA_BODY = "extra_body"
TOKEN_LIMITS = ("max_tokens", "max_completion_tokens")
CHOICES = ("n", "best_of")

_FREE = (
    "temperature top_p top_k top_a min_p typical_p seed stop stop_token_ids logit_bias logprobs top_logprobs",
    "presence_penalty frequency_penalty repetition_penalty min_tokens ignore_eos",
    "response_format structured_outputs guided_json guided_regex guided_choice guided_grammar",
    "functions function_call tool_choice parallel_tool_calls",
    "reasoning_effort verbosity enable_thinking chat_template_kwargs",
    "repeat_penalty repeat_last_n mirostat mirostat_eta mirostat_tau no_repeat_ngram_size top_n_sigma random_seed",
    "bad_words allowed_token_ids grammar regex json_schema stop_regex safe_prompt cache_prompt n_probs do_sample",
    "skip_special_tokens spaces_between_special_tokens include_stop_str_in_output",
    "user safety_identifier metadata store prompt_cache_key stream_options",
)
FREE = frozenset(name for names in _FREE for name in names.split())
"""Fields that add no tokens beyond the token limit, or equal prompt tokens to every request of a batch."""

FREE_TOOLS = frozenset({"function", "custom"})
"""Types of tools that the caller runs; the service bills hosted tools at separate rates."""

ONE_RATE_TIERS = frozenset({"default", "flex"})
"""Service tiers with one rate for every request; `auto` and `priority` may change it between two requests."""


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 1


def _is_free_tools(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) and each.get("type") in FREE_TOOLS for each in value)


_CHECKED: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys((*TOKEN_LIMITS, *CHOICES), (_is_count, "it must be a whole number from 1")),
    "tools": (_is_free_tools, "only tools of type 'function' or 'custom' have no price of their own"),
    "modalities": (lambda value: value == ["text"], "only ['text'] is billed by tokens of text"),
    "service_tier": (lambda value: value in ONE_RATE_TIERS, "only 'default' and 'flex' have one rate"),
}


def most_answer_tokens(fields: Fields) -> int | None:
    """Return the upper bound of the tokens of one answer, all choices together; None if a field leaves it open."""
    limit = _largest(fields, TOKEN_LIMITS)
    return None if limit is None else limit * (_largest(fields, CHOICES) or 1)


def unbounded(fields: Fields) -> list[str]:
    """Return a problem for each field whose cost cannot be bounded."""
    return [
        f"sampling.{place} is {value!r:.60}: {reason}"
        for place, name, value in _placed(fields)
        if (reason := _problem(name, value)) is not None
    ]


def _problem(name: str, value: object) -> str | None:
    # An empty limit in `extra_body` is sent, and takes the place of the one beside it.
    if name in FREE or (value is None and name not in TOKEN_LIMITS):
        return None
    if name not in _CHECKED:
        return "its cost cannot be bounded"
    fits, reason = _CHECKED[name]
    return None if fits(value) else reason


def _placed(fields: Fields) -> Iterator[tuple[str, str, object]]:
    """Yield every field with its place and name, including those of `extra_body`, which are merged into the request."""
    for name, value in fields.items():
        if name == EXTRA_BODY and isinstance(value, dict):
            yield from ((f"{EXTRA_BODY}.{inner}", str(inner), each) for inner, each in value.items())
        else:
            yield name, name, value


def _largest(fields: Fields, names: tuple[str, ...]) -> int | None:
    # Either value of a duplicate field may reach the model, and either of two limits may apply.
    values = (value for _, name, value in _placed(fields) if name in names)
    return max((value for value in values if isinstance(value, int) and not isinstance(value, bool)), default=None)
