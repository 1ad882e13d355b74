"""Streamed replies: chat chunks and deployment events."""

from dataclasses import dataclass, field, replace

from pareta_client.core.assembly import is_event_stream
from pareta_client.core.call import Call, attempt_seconds
from pareta_client.core.chunks import ErrorEvent, InvalidChunk, chunk_in, json_or_text
from pareta_client.core.exchanges import Answer, exchange
from pareta_client.core.receipt import NO_RECEIPT, Receipt, receipt_from_headers, receipt_with_comment
from pareta_client.core.redaction import redacted_failure, redacted_item, redacted_reply
from pareta_client.core.replies import malformed, record_from, request_id_of
from pareta_client.core.sse import DONE, Comment, Event, EventDecoder, LineTooLong
from pareta_client.core.steps import Failed, Operation, Reply, emit, read, read_clock
from pareta_client.errors import APIConnectionError, APITimeoutError, MalformedReplyError, ParetaError
from pareta_client.models.chat import ChatCompletionChunk
from pareta_client.models.endpoints import DeployEvent
from pareta_client.retry import error_class
from pareta_client.settings import Settings

STREAM_END_WAIT_S = 0.25
"""Seconds to wait for the end of the body after the last event; a complete body allows reuse of the connection."""
_NOT_A_STREAM = ("application/json", "text/html")
_ENDLESS = float("inf")


@dataclass
class Progress:
    """State of a stream: written by the operation, read through `Stream` and `AsyncStream`."""

    received: int = 0
    attempts: int = 0
    request_id: str | None = None
    reported_receipt: Receipt = NO_RECEIPT
    billed_before: int | None = None
    has_choices: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def receipt(self) -> Receipt:
        """Receipt of the stream and of the failed attempts before it."""
        return self.reported_receipt.after(self.billed_before)

    def begin(self, answer: Answer) -> None:
        """Record the attempts, the request id and the receipt of the reply's head."""
        self.attempts, self.billed_before = answer.attempts, answer.billed_before
        self.request_id = request_id_of(answer.reply)
        self.reported_receipt = receipt_from_headers(answer.reply.own_headers(), self.notes)

    def dropped_error(self, reason: str, kind: type[APIConnectionError] = APIConnectionError) -> APIConnectionError:
        """Return the error for an incomplete stream."""
        return kind(f"the stream ended early after {self.received} chunks: {reason}", request_id=self.request_id)

    def reported_error(self, reported: ErrorEvent) -> ParetaError:
        """Return the error that the service reported inside the stream."""
        message = str(reported)
        if reported.status is None:
            return self.dropped_error(f"the service reported: {message}")
        kind = error_class(reported.status)
        return kind(message, status_code=reported.status, detail=message, request_id=self.request_id)

    def annotated(self, error: ParetaError) -> ParetaError:
        """Return the error with the chunks, the amount billed and the attempts so far."""
        error.chunks_received = self.received
        error.billed_micro_usd = self.receipt.billed_micro_usd
        return error.after(self.attempts)


class _OpenStream:
    """Reader of a stream after its head: decodes events and enforces timeout and deadline."""

    def __init__(self, answer: Answer, settings: Settings, progress: Progress) -> None:
        self.reply = answer.reply
        self.now = answer.reply.at
        self._progress = progress
        self._secret = settings.secret
        self._decoder = EventDecoder()
        self._seconds = attempt_seconds(settings, None) or _ENDLESS
        self._deadline = answer.deadline or _ENDLESS
        self.ends = min(answer.reply.began + self._seconds, self._deadline)

    def restart_timeout(self) -> None:
        """Restart the timeout, so that it limits the time between two events."""
        self.ends = min(self.now + self._seconds, self._deadline)

    def next_items(self) -> Operation[list[Event | Comment]]:
        """Wait for the next items; raise APIConnectionError if the stream fails or has ended."""
        progress = self._progress
        content = yield from self._read()
        try:
            if content:
                return self._decode(content)
            last = [redacted_item(item, self._secret) for item in self._decoder.end()]
        except LineTooLong as error:
            raise progress.dropped_error(str(error)) from None
        if not last:
            raise progress.dropped_error("end of the body before the last event")
        return last

    def _read(self) -> Operation[bytes]:
        left = None if self.ends == _ENDLESS else self.ends - self.now
        if left is not None and left <= 0:
            raise self._progress.dropped_error("timeout or deadline expired", APITimeoutError)
        happened = yield from read(left)
        if isinstance(happened, Failed):
            happened = redacted_failure(happened, self._secret)
            is_late = isinstance(happened.error, APITimeoutError) and happened.at >= self.ends
            reason = "timeout or deadline expired" if is_late else str(happened.error)
            raise self._progress.dropped_error(reason, type(happened.error)) from happened.error.__cause__
        self.now = happened.at
        return happened.content

    def first_items(self) -> Operation[list[Event | Comment]]:
        """Return the first items; raise MalformedReplyError if the body is not an event stream."""
        kind = self.reply.header(b"content-type") or ""
        content = yield from self._read()
        is_json_or_html = content.lstrip()[:1] in (b"{", b"[", b"<")
        if is_json_or_html or (kind.startswith(_NOT_A_STREAM) and not is_event_stream(content)):
            malformed(redacted_reply(replace(self.reply, body=content), self._secret), "is not an event stream")
        return self._decode(content) if content else []

    def _decode(self, content: bytes) -> list[Event | Comment]:
        # Redact after decoding: the key may be split between two chunks of bytes.
        return [redacted_item(item, self._secret) for item in self._decoder.feed(content)]

    def remaining_comments(self) -> Operation[list[Comment]]:
        """Return the comments after the last event; wait up to STREAM_END_WAIT_S for the end of the body.

        A failure here is ignored, because all events have been received.
        """
        comments: list[Comment] = []
        now = yield from read_clock()
        ends = now + STREAM_END_WAIT_S
        while now < ends:
            happened = yield from read(ends - now)
            if isinstance(happened, Failed) or not happened.content:
                break
            now = max(now, happened.at)
            try:
                comments += [item for item in self._decoder.feed(happened.content) if isinstance(item, Comment)]
            except LineTooLong:
                break
        return comments


def chat_chunks(call: Call, settings: Settings, progress: Progress) -> Operation[None]:
    """Emit each ChatCompletionChunk; a stream that ends without `[DONE]` raises APIConnectionError."""
    answer = yield from exchange(call, settings)
    progress.begin(answer)
    try:
        yield from _chat_chunks(_OpenStream(answer, settings, progress), progress)
    except ErrorEvent as reported:
        raise progress.annotated(progress.reported_error(reported)) from None
    except (APIConnectionError, MalformedReplyError) as error:
        progress.annotated(error)
        raise


def _chat_chunks(stream: _OpenStream, progress: Progress) -> Operation[None]:
    items = yield from stream.first_items()
    while True:
        for number, item in enumerate(items, start=1):
            match item:
                case Comment(text):
                    progress.reported_receipt = receipt_with_comment(progress.reported_receipt, text)
                case Event(_, data) if data.strip() == DONE:
                    remaining = yield from stream.remaining_comments()
                    for comment in (*items[number:], *remaining):
                        if isinstance(comment, Comment):
                            progress.reported_receipt = receipt_with_comment(progress.reported_receipt, comment.text)
                    if not progress.has_choices:
                        raise progress.dropped_error("no choice before [DONE]")
                    return
                case Event():
                    yield from emit(_chunk(item, stream.reply, progress))
        items = yield from stream.next_items()


def _chunk(event: Event, reply: Reply, progress: Progress) -> ChatCompletionChunk:
    body = replace(reply, body=event.data.encode("utf-8", "replace"))
    try:
        chunk = record_from(ChatCompletionChunk, chunk_in(event, progress.notes), body, progress.notes)
    except InvalidChunk as error:
        malformed(body, str(error))
    progress.has_choices = progress.has_choices or bool(chunk.choices)
    progress.received += 1
    return chunk


def deploy_events(call: Call, settings: Settings, progress: Progress) -> Operation[None]:
    """Emit each DeployEvent up to `complete` or `error`; a stream without either raises APIConnectionError.

    The timeout limits the time between two events, the deadline the whole deployment.
    """
    answer = yield from exchange(call, settings)
    progress.begin(answer)
    try:
        yield from _deploy_events(_OpenStream(answer, settings, progress), progress)
    except (APIConnectionError, MalformedReplyError) as error:
        progress.annotated(error)
        raise


def _deploy_events(stream: _OpenStream, progress: Progress) -> Operation[None]:
    stream.restart_timeout()
    items = yield from stream.first_items()
    while True:
        for item in items:
            if isinstance(item, Event) and item.data.strip() != DONE:
                progress.received += 1
                stream.restart_timeout()
                event = DeployEvent(event=item.name, data=json_or_text(item.data))
                if item.name in ("complete", "error"):
                    yield from stream.remaining_comments()
                    yield from emit(event)
                    return
                yield from emit(event)
        items = yield from stream.next_items()
