"""Streamed answers, decoded as they arrive: chat chunks and deployment events."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pydantic_core import from_json

from pareta_client.call import Call
from pareta_client.errors import APIConnectionError, ParetaError
from pareta_client.exchange import exchange
from pareta_client.models.chat import ChatCompletionChunk
from pareta_client.models.endpoints import DeployEvent
from pareta_client.receipt import NO_RECEIPT, Receipt, receipt_from_headers, receipt_with_comment
from pareta_client.replies import malformed, record_from, request_id_of
from pareta_client.retry import error_class, refused
from pareta_client.settings import Settings
from pareta_client.sse import Comment, Event, EventDecoder, LineTooLong
from pareta_client.steps import Failed, Operation, Reply, emit, read

DONE = "[DONE]"
SECONDS_TO_END = 0.25
"""How long to wait, after the last event, for the end of the body, which lets the connection be used again."""
_NOT_A_STREAM = ("application/json", "text/html")


@dataclass
class Progress:
    """What is known of a stream so far; the operation writes it, the stream's face shows it."""

    received: int = 0
    attempts: int = 0
    request_id: str | None = None
    receipt: Receipt = NO_RECEIPT

    def opened(self, reply: Reply, attempts: int) -> None:
        """Note what came with the beginning of the answer."""
        self.attempts, self.request_id, self.receipt = (
            attempts,
            request_id_of(reply),
            receipt_from_headers(reply.own_headers()),
        )

    def dropped(self, why: str, kind: type[APIConnectionError] = APIConnectionError) -> APIConnectionError:
        """Make the error for a stream that broke."""
        error = kind(
            f"the stream broke after {self.received} chunks: {why}",
            chunks_received=self.received,
            request_id=self.request_id,
        )
        return error.after(self.attempts)


def chat_chunks(call: Call, settings: Settings, progress: Progress) -> Operation[None]:
    """Emit each ChatCompletionChunk as it arrives; a stream that ends without [DONE] was dropped."""
    reply = yield from _opened(call, settings, progress)
    decoder = EventDecoder()
    while True:
        for item in (yield from _arrived(decoder, progress)):
            match item:
                case Comment(text):
                    progress.receipt = receipt_with_comment(progress.receipt, text)
                case Event(_, data) if data.strip() == DONE:
                    yield from _to_the_end()
                    return
                case Event(_, data):
                    for chunk in _chunks(data, reply, progress):
                        progress.received += 1
                        yield from emit(chunk)


def deploy_events(call: Call, settings: Settings, progress: Progress) -> Operation[None]:
    """Emit each DeployEvent as it arrives, up to `complete` or `error`; a stream that ends without was dropped."""
    yield from _opened(call, settings, progress)
    decoder = EventDecoder()
    while True:
        for item in (yield from _arrived(decoder, progress)):
            if isinstance(item, Event) and item.data.strip() != DONE:
                progress.received += 1
                event = DeployEvent(event=item.name, data=_json_or_text(item.data))
                if item.name not in ("complete", "error"):
                    yield from emit(event)
                    continue
                yield from _to_the_end()
                yield from emit(event)
                return


def _opened(call: Call, settings: Settings, progress: Progress) -> Operation[Reply]:
    answer = yield from exchange(call, settings)
    progress.opened(answer.reply, answer.attempts)
    kind = answer.reply.header(b"content-type") or ""
    if kind.startswith(_NOT_A_STREAM):
        beginning = yield from read()
        body = b"" if isinstance(beginning, Failed) else beginning.content
        malformed(Reply(answer.reply.status, answer.reply.headers, body), "is no event stream")
    return answer.reply


def _arrived(decoder: EventDecoder, progress: Progress) -> Operation[list[Event | Comment]]:
    """Wait for more of the stream; raises APIConnectionError where it breaks or has already ended."""
    happened = yield from read()
    if isinstance(happened, Failed):
        raise progress.dropped(str(happened.error), type(happened.error)) from happened.error.__cause__
    if happened.content:
        try:
            return list(decoder.feed(happened.content))
        except LineTooLong as error:
            raise progress.dropped(str(error)) from None
    last = list(decoder.end())
    if not last:
        raise progress.dropped("it ended before its last event")
    return last


def _to_the_end() -> Operation[None]:
    # Whatever happens after the last event, everything has arrived: a break here is not a failure.
    while True:
        happened = yield from read(SECONDS_TO_END)
        if isinstance(happened, Failed) or not happened.content:
            return


def _chunks(data: str, reply: Reply, progress: Progress) -> Iterator[ChatCompletionChunk]:
    """Read one event; where a service forgets the blank line between events, each of its lines is a chunk."""
    event = replace(reply, body=data.encode())
    for part in _json_parts(event):
        if isinstance(part, dict) and part.get("error") and not part.get("choices"):
            raise _refusal(part["error"], progress)
        yield record_from(ChatCompletionChunk, part, event)


def _json_parts(event: Reply) -> list[Any]:
    try:
        return [from_json(event.body)]
    except ValueError:
        pass
    try:
        return [from_json(line) for line in event.body.splitlines() if line.strip() != DONE.encode()]
    except ValueError as error:
        malformed(event, f"has an event that is not JSON ({error})")


def _refusal(told: object, progress: Progress) -> ParetaError:
    """Make the error that the service reported in the middle of its stream."""
    code = told.get("code") if isinstance(told, dict) else None
    message = str(told.get("message") or told) if isinstance(told, dict) else str(told)
    if not isinstance(code, int) or not refused(code):
        return progress.dropped(f"the service reported: {message}")
    error = error_class(code)(message, status_code=code, detail=message, request_id=progress.request_id)
    return error.after(progress.attempts)


def _json_or_text(data: str) -> Any:
    try:
        return from_json(data)
    except ValueError:
        return data
