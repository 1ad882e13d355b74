"""Streamed answers, decoded as they arrive: chat chunks and deployment events."""

from dataclasses import dataclass, field, replace

from pareta_client.core.assembly import is_event_stream
from pareta_client.core.call import Call, attempt_seconds
from pareta_client.core.chunks import ErrorEvent, NoChunk, chunk_in, json_or_text
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

SECONDS_TO_END = 0.25
"""How long to wait, after the last event, for the end of the body, which lets the connection be used again."""
_NOT_A_STREAM = ("application/json", "text/html")
_ENDLESS = float("inf")


@dataclass
class Progress:
    """What is known of a stream so far; the operation writes it, the stream's face shows it."""

    received: int = 0
    attempts: int = 0
    request_id: str | None = None
    told: Receipt = NO_RECEIPT
    billed_before: int | None = None
    has_choices: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def receipt(self) -> Receipt:
        """What the stream, and the failed attempts before it, were billed."""
        return self.told.after(self.billed_before)

    def opened(self, answer: Answer) -> None:
        """Note what came with the beginning of the answer."""
        self.attempts, self.billed_before = answer.attempts, answer.billed_before
        self.request_id = request_id_of(answer.reply)
        self.told = receipt_from_headers(answer.reply.own_headers(), self.notes)

    def dropped(self, why: str, kind: type[APIConnectionError] = APIConnectionError) -> APIConnectionError:
        """Return the error for a stream that broke."""
        return kind(f"the stream broke after {self.received} chunks: {why}", request_id=self.request_id)

    def refused(self, reported: ErrorEvent) -> ParetaError:
        """Return the error that the service reported in the middle of its stream."""
        message = str(reported)
        if reported.status is None:
            return self.dropped(f"the service reported: {message}")
        kind = error_class(reported.status)
        return kind(message, status_code=reported.status, detail=message, request_id=self.request_id)

    def noted(self, error: ParetaError) -> ParetaError:
        """Note on an error what the stream had come to, and return it."""
        error.chunks_received = self.received
        error.billed_micro_usd = self.receipt.billed_micro_usd
        return error.after(self.attempts)


class _Opened:
    """A stream whose head has come: what arrives, and until when it may."""

    def __init__(self, answer: Answer, settings: Settings, progress: Progress) -> None:
        self.reply = answer.reply
        self.now = answer.reply.at
        self._progress = progress
        self._secret = settings.secret
        self._decoder = EventDecoder()
        self._seconds = attempt_seconds(settings, None) or _ENDLESS
        self._deadline = answer.deadline or _ENDLESS
        self.ends = min(answer.reply.began + self._seconds, self._deadline)

    def if_transient(self) -> None:
        """Bound the silence from now on, rather than the whole."""
        self.ends = min(self.now + self._seconds, self._deadline)

    def arrived(self) -> Operation[list[Event | Comment]]:
        """Wait for more of the stream; raises APIConnectionError where it breaks or has already ended."""
        progress = self._progress
        content = yield from self._read()
        try:
            if content:
                return self._fed(content)
            last = [redacted_item(item, self._secret) for item in self._decoder.end()]
        except LineTooLong as error:
            raise progress.dropped(str(error)) from None
        if not last:
            raise progress.dropped("it ended before its last event")
        return last

    def _read(self) -> Operation[bytes]:
        left = None if self.ends == _ENDLESS else self.ends - self.now
        if left is not None and left <= 0:
            raise self._progress.dropped("its timeout or deadline ran out", APITimeoutError)
        happened = yield from read(left)
        if isinstance(happened, Failed):
            happened = redacted_failure(happened, self._secret)
            is_late = isinstance(happened.error, APITimeoutError) and happened.at >= self.ends
            why = "its timeout or deadline ran out" if is_late else str(happened.error)
            raise self._progress.dropped(why, type(happened.error)) from happened.error.__cause__
        self.now = happened.at
        return happened.content

    def beginning(self) -> Operation[list[Event | Comment]]:
        """Return the first events; raises MalformedReplyError for a body that is no event stream."""
        kind = self.reply.header(b"content-type") or ""
        content = yield from self._read()
        looks_otherwise = content.lstrip()[:1] in (b"{", b"[", b"<")
        if looks_otherwise or (kind.startswith(_NOT_A_STREAM) and not is_event_stream(content)):
            malformed(redacted_reply(replace(self.reply, body=content), self._secret), "is no event stream")
        return self._fed(content) if content else []

    def _fed(self, content: bytes) -> list[Event | Comment]:
        # Not the bytes but what they are decoded to: the key may be cut in two on its way.
        return [redacted_item(item, self._secret) for item in self._decoder.feed(content)]

    def rest(self) -> Operation[list[Comment]]:
        """Return the comments after the last event, waiting a moment for the end of the body.

        Whatever happens now, everything has arrived: a break here is not a failure.
        """
        comments: list[Comment] = []
        now = yield from read_clock()
        ends = now + SECONDS_TO_END
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
    """Emit each ChatCompletionChunk as it arrives; a stream that ends without [DONE] was dropped."""
    answer = yield from exchange(call, settings)
    progress.opened(answer)
    try:
        yield from _chat_chunks(_Opened(answer, settings, progress), progress)
    except ErrorEvent as reported:
        raise progress.noted(progress.refused(reported)) from None
    except (APIConnectionError, MalformedReplyError) as error:
        progress.noted(error)
        raise


def _chat_chunks(stream: _Opened, progress: Progress) -> Operation[None]:
    items = yield from stream.beginning()
    while True:
        for number, item in enumerate(items, start=1):
            match item:
                case Comment(text):
                    progress.told = receipt_with_comment(progress.told, text)
                case Event(_, data) if data.strip() == DONE:
                    rest = yield from stream.rest()
                    for comment in (*items[number:], *rest):
                        if isinstance(comment, Comment):
                            progress.told = receipt_with_comment(progress.told, comment.text)
                    if not progress.has_choices:
                        raise progress.dropped("it had no choice before [DONE]")
                    return
                case Event():
                    yield from emit(_chunk(item, stream.reply, progress))
        items = yield from stream.arrived()


def _chunk(event: Event, reply: Reply, progress: Progress) -> ChatCompletionChunk:
    body = replace(reply, body=event.data.encode("utf-8", "replace"))
    try:
        chunk = record_from(ChatCompletionChunk, chunk_in(event, progress.notes), body, progress.notes)
    except NoChunk as error:
        malformed(body, str(error))
    progress.has_choices = progress.has_choices or bool(chunk.choices)
    progress.received += 1
    return chunk


def deploy_events(call: Call, settings: Settings, progress: Progress) -> Operation[None]:
    """Emit each DeployEvent as it arrives, up to `complete` or `error`; a stream that ends without was dropped.

    A deployment takes as long as it takes: the timeout bounds the silence between two events, the deadline the whole.
    """
    answer = yield from exchange(call, settings)
    progress.opened(answer)
    try:
        yield from _deploy_events(_Opened(answer, settings, progress), progress)
    except (APIConnectionError, MalformedReplyError) as error:
        progress.noted(error)
        raise


def _deploy_events(stream: _Opened, progress: Progress) -> Operation[None]:
    stream.if_transient()
    items = yield from stream.beginning()
    while True:
        for item in items:
            if isinstance(item, Event) and item.data.strip() != DONE:
                progress.received += 1
                stream.if_transient()
                event = DeployEvent(event=item.name, data=json_or_text(item.data))
                if item.name in ("complete", "error"):
                    yield from stream.rest()
                    yield from emit(event)
                    return
                yield from emit(event)
        items = yield from stream.arrived()
