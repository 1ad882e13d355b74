"""Chat completions and the models one may call."""

from collections.abc import Iterable, Mapping
from typing import Any

from pareta_client.call import Call, get, post
from pareta_client.exchange import exchange
from pareta_client.models.chat import Arrival, ChatCompletion, ModelList
from pareta_client.models.record import RawJson
from pareta_client.receipt import receipt_from_headers
from pareta_client.replies import malformed, object_of, record_from, record_of
from pareta_client.settings import Settings
from pareta_client.steps import Operation, Reply

PATH = "/v1/chat/completions"


def chat_call(
    model: str, messages: Iterable[Mapping[str, Any]], stream: bool, fields: Mapping[str, Any], key: str
) -> Call:
    """Describe a completion; raises ValueError for a missing model or messages."""
    if not model:
        raise ValueError("model is required: an endpoint id, or 'auto'")
    told = list(messages) if messages else []
    if not told:
        raise ValueError("messages is required and must not be empty")
    body = {"model": model, "messages": told, **fields}
    return post(PATH, key, {**body, "stream": True} if stream else body, streamed=stream)


def complete(call: Call, settings: Settings) -> Operation[ChatCompletion]:
    """Answer once, with the receipt."""
    answer = yield from exchange(call, settings)
    reply = answer.reply
    completion = record_from(ChatCompletion, _checked(object_of(reply), reply), reply)
    own = reply.own_headers()
    return completion.arrived_with(Arrival(receipt_from_headers(own), own.get("x-request-id"), answer.attempts))


def _checked(content: RawJson, reply: Reply) -> RawJson:
    """Refuse an error that came with a success status: taken for an answer it would be an empty one."""
    if not content.get("choices") and (content.get("error") or content.get("detail")):
        malformed(reply, "is an error, not a completion")
    return content


def list_models(settings: Settings) -> Operation[ModelList]:
    """List what this key may call."""
    answer = yield from exchange(get("/v1/models"), settings)
    return record_of(ModelList, answer.reply)
