"""Chat completions and the list of models."""

from collections.abc import Iterable, Mapping
from typing import Any

from pareta_client.core import (
    Answer,
    Call,
    Finish,
    IncompleteStream,
    Json,
    Operation,
    Receipt,
    Reply,
    added,
    assembled,
    clean_id,
    exchange,
    finish_of,
    get,
    is_event_stream,
    json_of,
    malformed,
    note,
    post,
    rate_limits_from_headers,
    receipt_from_headers,
    record_from,
    record_of,
    redacted_json,
    shown,
    unusable_reason,
)
from pareta_client.errors import MalformedReplyError
from pareta_client.models.chat import ChatCompletion, Choice, ModelList, ReplyMetadata
from pareta_client.settings import Settings

PATH = "/v1/chat/completions"
_NOT_FIELDS = ("timeout", "idempotency_key", "deadline", "max_retries", "extra_body")


def chat_call(
    model: str, messages: Iterable[Mapping[str, Any]], stream: bool, fields: Mapping[str, Any], key: str
) -> Call:
    """Return the call of a completion.

    Args:
        model: endpoint id, or "auto".
        messages: conversation so far.
        stream: whether the answer is streamed in chunks.
        fields: further fields of the body; those of `extra_body` override all others, as in OpenAI's SDK.
        key: idempotency key.

    Raises:
        ValueError: model or messages are missing, or `extra_body` contains an argument of the client.
        TypeError: `extra_body` is not a mapping.
    """
    if not model:
        raise ValueError("model is required: an endpoint id, or 'auto'")
    sent = list(messages) if messages else []
    if not sent:
        raise ValueError("messages is required and must not be empty")
    body = {"model": model, "messages": sent, **fields}
    if stream:
        body["stream"] = True
    if "extra_body" in body:
        body = _merged(body, body.pop("extra_body"), stream)
    return post(PATH, key, body, streamed=stream)


def _merged(body: dict[str, Any], extra: object, stream: bool) -> dict[str, Any]:
    """Return the body with the fields of `extra_body`, which replace its own (shallow merge)."""
    if extra is None:
        return body
    if not isinstance(extra, Mapping):
        raise TypeError(f"extra_body must be a mapping of fields, not {type(extra).__name__}")
    for name in _NOT_FIELDS:
        if name in extra:
            raise ValueError(f"extra_body has {name!r}, which is not a field of a request: pass it to create()")
    if bool(extra.get("stream", stream)) != stream:
        raise ValueError(f"extra_body has stream={extra['stream']!r}, but create() was called with stream={stream!r}")
    return {**body, **extra}


def complete(call: Call, settings: Settings) -> Operation[ChatCompletion]:
    """Return the completion with receipt and notes; raise MalformedReplyError if the reply has no answer."""
    answer = yield from exchange(call, settings)
    try:
        return _completion(answer, settings)
    except MalformedReplyError as error:
        error.billed_micro_usd = added(error.billed_micro_usd, answer.billed_before)
        error.attempts = answer.attempts
        raise


def _completion(answer: Answer, settings: Settings) -> ChatCompletion:
    reply, notes = answer.reply, list[str]()
    own = reply.own_headers()
    if reply.is_redacted:
        note(notes, "the reply contained the API key: redacted")
    receipt = receipt_from_headers(own, notes)
    limits = rate_limits_from_headers(own, notes)
    content, receipt = _content(reply, receipt, settings, notes)
    if reason := unusable_reason(content):
        malformed(reply, reason, receipt)
    completion = record_from(ChatCompletion, content, reply, notes)
    for choice in completion.choices:
        _note_finish(choice, notes)
    receipt = receipt.after(answer.billed_before)
    return completion.with_metadata(
        ReplyMetadata(receipt, clean_id(own.get("x-request-id")), answer.attempts, tuple(notes), limits)
    )


def _content(reply: Reply, receipt: Receipt, settings: Settings, notes: list[str]) -> tuple[Json, Receipt]:
    if reply.body[:1] != b"{" and is_event_stream(reply.body):
        try:
            content, receipt = assembled(reply, receipt, notes)
            return redacted_json(content, settings.secret), receipt
        except IncompleteStream as error:
            malformed(reply, str(error), receipt)
    if not reply.body.strip():
        malformed(reply, "is empty", receipt)
    return json_of(reply, notes), receipt


def _note_finish(choice: Choice, notes: list[str]) -> None:
    if choice.get("error"):  # a later choice, as below
        note(notes, f"choice {choice.index} has an error")
    match finish_of(choice.finish_reason):
        case Finish.UNKNOWN:
            note(notes, f"finish_reason {shown(choice.finish_reason)} is unknown")
        case Finish.BROKEN:  # a later choice: the first one was checked by unusable_reason
            note(notes, f"choice {choice.index} was aborted (finish_reason {shown(choice.finish_reason)})")
        case _:
            return


def list_models(settings: Settings) -> Operation[ModelList]:
    """List the models that the API key may call."""
    answer = yield from exchange(get("/v1/models"), settings)
    return record_of(ModelList, answer.reply)
