"""Reply of a built-in model to a request: the text, and what the request asks for besides it."""

from typing import Any

from pareta_sandbox.models.replies import REASONING, arguments_of, logprobs, tool_call
from pareta_sandbox.routes.chat_request import ChatRequest, truncate
from pareta_sandbox.state import money
from pareta_sandbox.state.completion import split_tokens

Choice = dict[str, Any]  # a choice of OpenAI's format, without its index


def reply(request: ChatRequest, answer: str, prompt: str) -> tuple[str, str, Choice | None, str]:
    """Return the text of the reply, its finish reason, its choice, and all that the model wrote, which is billed.

    The choice is None for a reply with text alone. Reasoning comes first and uses up the maximum number of tokens.
    """
    reasoning = _reasoning(request)
    spent = money.tokens(reasoning) if reasoning else 0
    function = request.called
    written, finish = truncate(answer if function is None else arguments_of(function, answer), request, spent)
    text = written if function is None else ""
    if function is None and not reasoning and not request.logprobs:
        return text, finish, None, written
    message: Choice = {"role": "assistant", "content": text if function is None else None}
    if reasoning:
        message["reasoning_content"] = reasoning
    if function is not None:
        message["tool_calls"] = [tool_call(function, written, prompt)]
    ended = "tool_calls" if function is not None and finish == "stop" else finish
    choice: Choice = {"message": message, "finish_reason": ended}
    if request.logprobs and function is None:
        choice["logprobs"] = logprobs(split_tokens(text) if text else [], request.top_logprobs or 0)
    return text, ended, choice, reasoning + written


def _reasoning(request: ChatRequest) -> str:
    allowed = request.allowed_tokens
    return (REASONING if allowed is None else REASONING[: allowed * 4]) if request.reasons else ""
