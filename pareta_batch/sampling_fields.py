"""Known sampling fields of services, and the detection of misspelt ones; other names pass through."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

MIN_SIMILARITY = 0.84
"""Minimum similarity (0 to 1) of a misspelling to a known name; higher lets more misspellings pass."""

OPENAI = (
    "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs", "max_completion_tokens",
    "max_tokens", "messages", "metadata", "modalities", "model", "n", "parallel_tool_calls", "prediction",
    "presence_penalty", "prompt_cache_key", "reasoning_effort", "response_format", "safety_identifier", "seed",
    "service_tier", "stop", "store", "stream", "stream_options", "temperature", "tool_choice", "tools",
    "top_logprobs", "top_p", "user", "verbosity", "web_search_options",
)  # fmt: skip
# Of vLLM, SGLang, llama.cpp, TGI, OpenRouter and other OpenAI-compatible servers.
OTHERS = (
    "add_generation_prompt", "allowed_token_ids", "bad_words", "best_of", "cache_prompt", "chat_template",
    "chat_template_kwargs", "continue_final_message", "documents", "do_sample", "echo", "enable_thinking",
    "extra_body", "grammar", "guided_choice", "guided_grammar", "guided_json", "guided_regex", "ignore_eos",
    "include_reasoning", "include_stop_str_in_output", "json_schema", "length_penalty", "max_length",
    "max_new_tokens", "max_output_tokens", "min_length", "min_new_tokens", "min_p", "min_tokens", "mirostat",
    "mirostat_eta", "mirostat_tau", "models", "n_predict", "n_probs", "no_repeat_ngram_size", "num_beams", "plugins",
    "priority", "prompt_logprobs", "provider", "random_seed", "reasoning", "regex", "repeat_last_n",
    "repeat_penalty", "repetition_penalty", "return_token_ids", "route", "safe_prompt", "skip_special_tokens",
    "spaces_between_special_tokens", "stop_regex", "stop_token_ids", "structured_outputs", "thinking",
    "thinking_budget", "top_a", "top_k", "top_n_sigma", "transforms", "truncate_prompt_tokens", "typical_p",
    "use_beam_search",
)  # fmt: skip
KNOWN = frozenset(OPENAI + OTHERS)
RESPONSE_FORMAT = frozenset({"type", "json_schema", "schema", "name", "strict", "description"})

TEXTS = frozenset(
    {
        *("chat_template", "grammar", "guided_grammar", "guided_regex", "prompt_cache_key", "reasoning_effort"),
        *("regex", "route", "safety_identifier", "service_tier", "stop_regex", "user", "verbosity"),
    }
)
"""Fields whose value is text."""
BOOLEANS = frozenset({"echo", "ignore_eos", "logprobs", "parallel_tool_calls", "store"})

_BY_LETTERS = {name.replace("_", ""): name for name in sorted(KNOWN)}


def misspelt(names: Iterable[str], known: frozenset[str] = KNOWN) -> dict[str, str]:
    """Return the misspelt names, each with the most similar known name."""
    meant = {name: _meant(name, known) for name in names if name not in known}
    return {name: found for name, found in meant.items() if found is not None}


def no_booleans(fields: Mapping[str, object]) -> list[str]:
    """Return the names of the boolean fields whose value is text, such as `yes`."""
    return sorted(name for name in BOOLEANS & fields.keys() if isinstance(fields[name], str))


def _meant(name: str, known: frozenset[str]) -> str | None:
    # maxTokens, MAX-TOKENS and "max_tokens " have the same letters.
    letters = "".join(filter(str.isalnum, name.lower()))
    if (same := _BY_LETTERS.get(letters)) in known:
        return same
    close = get_close_matches(name.lower(), known, n=1, cutoff=MIN_SIMILARITY)
    return close[0] if close else None
