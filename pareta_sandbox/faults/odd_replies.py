"""Replies that real gateways send against the specification, derived from a correct and billed reply."""

import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

Answer = dict[str, Any]  # a completion as JSON
BILLED = b"x-pareta-billed"
NESTED = 1_200
HUGE_TOKENS = 2**70
EVENT_STREAM = {b"content-type": b"text/event-stream"}


@dataclass(frozen=True)
class Reply:
    """A complete reply; header names are in lower case."""

    body: bytes
    status: int = 200
    headers: Mapping[bytes, bytes] = field(default_factory=dict)


def odd(shape: str, correct: Reply) -> Reply:
    """Return a correct reply in an odd shape; a reply without a completion is returned unchanged."""
    try:
        answer = json.loads(correct.body)
        return SHAPES[shape](answer, replace(correct, headers=dict(correct.headers)))
    except (ValueError, LookupError, TypeError):
        return correct


def _message(**changes: object) -> Callable[[Answer, Reply], Reply]:
    def change(answer: Answer, reply: Reply) -> Reply:
        answer["choices"][0]["message"] |= changes
        return _with(reply, answer)

    return change


def _choice(**changes: object) -> Callable[[Answer, Reply], Reply]:
    def change(answer: Answer, reply: Reply) -> Reply:
        answer["choices"][0] |= changes
        return _with(reply, answer)

    return change


def _top(**changes: object) -> Callable[[Answer, Reply], Reply]:
    return lambda answer, reply: _with(reply, answer | changes)


def _instead(content: object) -> Callable[[Answer, Reply], Reply]:
    return lambda _, reply: _with(reply, content)


def _bytes(change: Callable[[bytes], bytes], **headers: str) -> Callable[[Answer, Reply], Reply]:
    added = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return lambda _, reply: replace(reply, body=change(reply.body), headers={**reply.headers, **added})


def _with(reply: Reply, content: object) -> Reply:
    return replace(reply, body=json.dumps(content, ensure_ascii=False).encode())


def _parts(answer: Answer, reply: Reply) -> Reply:
    text = answer["choices"][0]["message"]["content"]
    half = len(text) // 2
    return _message(content=[{"type": "text", "text": text[:half]}, {"type": "text", "text": text[half:]}])(
        answer, reply
    )


def _several(answer: Answer, reply: Reply) -> Reply:
    answer["choices"] = [{**answer["choices"][0], "index": number} for number in range(2)]
    return _with(reply, answer)


def _in_content(added: bytes) -> Callable[[bytes], bytes]:
    return lambda body: body.replace(b'"content": "', b'"content": "' + added, 1)


def _members(body: bytes) -> bytes:
    half = len(body) // 2
    return gzip.compress(body[:half]) + gzip.compress(body[half:])


def _event_stream(answer: Answer, reply: Reply) -> Reply:
    choice = answer["choices"][0]
    chunk = answer | {"choices": [{**choice, "delta": choice["message"]}]}
    body = f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode()
    return replace(reply, body=body, headers={**reply.headers, **EVENT_STREAM})


def _billed(change: Callable[[bytes], bytes]) -> Callable[[Answer, Reply], Reply]:
    def changed(_: Answer, reply: Reply) -> Reply:
        return replace(reply, headers={k: change(v) if k == BILLED else v for k, v in reply.headers.items()})

    return changed


_CALL = {"id": "call_1", "type": "function", "function": {"name": "pick_team", "arguments": '{"team": "billing"}'}}

SHAPES: Mapping[str, Callable[[Answer, Reply], Reply]] = {
    # The text of the answer.
    "parts": _parts,
    "content_number": _message(content=42),
    "content_object": _message(content={"team": "billing"}),
    "nested": _message(content="[" * NESTED + "]" * NESTED),
    "lone_surrogate": _bytes(_in_content(b"\\ud83d")),
    "raw_newline": _bytes(_in_content(b"one\ntwo ")),
    "not_utf8": _bytes(_in_content(b"\xff\xfe")),
    "byte_order_mark": _bytes(lambda body: b"\xef\xbb\xbf" + body),
    # Billed content besides the text.
    "tool_call": lambda answer, reply: _choice(
        finish_reason="tool_calls", message={"role": "assistant", "content": None, "tool_calls": [_CALL]}
    )(answer, reply),
    "reasoning": _message(reasoning_content="The invoice is about money."),
    "refusal": _message(content=None, refusal="I cannot help with that."),
    "logprobs": _choice(logprobs={"content": [{"token": "a", "logprob": -0.1}]}),
    "several": _several,
    # The finish reason.
    "finish_cut": _choice(finish_reason="MAX_TOKENS"),
    "finish_filtered": _choice(finish_reason="SAFETY"),
    "finish_unknown": _choice(finish_reason="because"),
    "finish_object": _choice(finish_reason={"reason": "stop"}),
    "finish_abort": _choice(finish_reason="abort"),
    "finish_error": _top(error={"message": "provider disconnected"}),
    # Numbers.
    "tokens_text": _top(usage={"prompt_tokens": "10", "completion_tokens": "5"}),
    "tokens_huge": _top(usage={"prompt_tokens": HUGE_TOKENS, "completion_tokens": 5}),
    "tokens_list": _top(usage={"prompt_tokens": [10], "completion_tokens": -5}),
    "no_usage": _top(usage=None),
    "receipt_decimal": _billed(lambda billed: billed + b".0"),
    "receipt_words": _billed(lambda _: b"free of charge"),
    "receipt_huge": _billed(lambda _: b"9" * 18),
    # A success status without a completion.
    "empty_body": _bytes(lambda _: b""),
    "no_content": lambda _, reply: replace(reply, body=b"", status=204),
    "accepted": lambda _, reply: replace(reply, body=b'{"status": "queued"}', status=202),
    "null": _instead(None),
    "a_list": _instead([]),
    "no_choices": _top(choices=[]),
    "choices_null": _top(choices=None),
    "choices_of_numbers": _top(choices=[1, 2]),
    "not_successful": _instead({"success": False}),
    "error_object": _instead({"object": "error", "message": "engine died", "code": 500}),
    "gateway_message": _instead({"status": "439", "msg": "token expired", "body": None}),
    "html": _bytes(lambda _: b"<html><body>Welcome</body></html>", content_type="text/html"),
    # The transfer.
    "event_stream": _event_stream,
    "gzip_members": _bytes(_members, content_encoding="gzip"),
    "gzip_claimed": _bytes(lambda body: body, content_encoding="gzip"),
}
