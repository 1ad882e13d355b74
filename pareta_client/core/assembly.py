"""Assembly of a completion from an event stream that the service sent although the request was not streamed."""

from typing import Any

from pareta_client.core.chunks import ErrorEvent, InvalidChunk, chunk_in
from pareta_client.core.json_reading import note
from pareta_client.core.receipt import Receipt, receipt_with_comment
from pareta_client.core.sse import DONE, Comment, Event, EventDecoder, LineTooLong
from pareta_client.core.steps import Reply
from pareta_client.models.record import RawJson

_FIELDS_OF_EVENTS = (b"data:", b"event:", b":", b"id:", b"retry:", b"error:")
_REPEATED_FIELDS = ("role", "id", "type", "name", "index", "object", "model")
"""Fields of a delta that each chunk repeats; other text fields are concatenated."""


class IncompleteStream(ValueError):
    """Events that form no completion; the message completes "the body …"."""


def is_event_stream(body: bytes) -> bool:
    """Check whether a body is an event stream, regardless of its content type."""
    return body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(_FIELDS_OF_EVENTS)


def assembled(reply: Reply, receipt: Receipt, notes: list[str]) -> tuple[RawJson, Receipt]:
    """Return the completion and the receipt of a whole event stream; raise IncompleteStream if it has no completion."""
    note(notes, "the reply was an event stream although the request was not streamed: assembled to a completion")
    decoder, completion, done = EventDecoder(), _Completion(), False
    try:
        items = [*decoder.feed(reply.body), *decoder.end()]
    except LineTooLong as error:
        raise IncompleteStream(f"is an event stream that cannot be read ({error})") from None
    for item in items:
        match item:
            case Comment(text):
                receipt = receipt_with_comment(receipt, text)
            case Event(_, data) if data.strip() == DONE:
                done = True
            case Event() if not done:
                _add_event(completion, item, notes)
    if not done and not completion.ended:
        raise IncompleteStream("is an incomplete event stream")
    return completion.raw(), receipt


def _add_event(completion: "_Completion", event: Event, notes: list[str]) -> None:
    try:
        completion.add(event, notes)
    except InvalidChunk as error:
        raise IncompleteStream(str(error)) from None
    except ErrorEvent as error:
        raise IncompleteStream(f"is an event stream with an error ({error})") from None


class _Completion:
    """Accumulator of the chunks of one completion."""

    def __init__(self) -> None:
        self._fields: RawJson = {}
        self._choices: dict[int, RawJson] = {}

    @property
    def ended(self) -> bool:
        """Whether each choice has its finish_reason."""
        return bool(self._choices) and all(choice.get("finish_reason") for choice in self._choices.values())

    def add(self, event: Event, notes: list[str]) -> None:
        """Add one event; raise InvalidChunk or ErrorEvent."""
        chunk = chunk_in(event, notes)
        for name, value in chunk.items():
            if name != "choices" and value is not None:
                self._fields[name] = value
        choices = chunk.get("choices")
        for number, choice in enumerate(choices if isinstance(choices, list) else []):
            if isinstance(choice, dict):
                self._add_choice(number, choice)

    def _add_choice(self, number: int, choice: RawJson) -> None:
        index = choice.get("index")
        whole = self._choices.setdefault(index if isinstance(index, int) else number, {"message": {}})
        for name, value in choice.items():
            if name in ("delta", "message"):
                if isinstance(value, dict):
                    _merge(whole["message"], value)
            elif name == "logprobs" and isinstance(value, dict):
                _merge(whole.setdefault(name, {}), value)
            elif value is not None:
                whole[name] = value

    def raw(self) -> RawJson:
        """Return the completion as the JSON of a reply that is not streamed."""
        choices = [_joined(self._choices[index]) for index in sorted(self._choices)]
        return {**self._fields, "object": "chat.completion", "choices": choices}


class _Text(list[str]):
    """Text fragments, joined at the end: concatenation of strings is quadratic."""


def _merge(message: RawJson, delta: RawJson) -> None:
    """Append a delta to a message: texts and lists are extended, tool calls are matched by their index."""
    for name, value in delta.items():
        known = message.get(name)
        if isinstance(value, str) and isinstance(known, _Text):
            known.append(value)
        elif isinstance(value, str) and name not in _REPEATED_FIELDS:
            message[name] = _Text([value])
        elif isinstance(value, dict):
            if not isinstance(known, dict):
                known = message[name] = {}
            _merge(known, value)
        elif isinstance(value, list):
            if not isinstance(known, list) or isinstance(known, _Text):
                known = message[name] = []
            _extend(known, value)
        elif value is not None:
            message[name] = value


def _extend(known: list[Any], more: list[Any]) -> None:
    for item in more:
        index = item.get("index") if isinstance(item, dict) else None
        if not isinstance(index, int):
            known.append(item)
            continue
        whole = next((one for one in known if isinstance(one, dict) and one.get("index") == index), None)
        if whole is None:
            known.append(whole := {})
        _merge(whole, item)


def _joined(value: Any) -> Any:
    match value:
        case _Text():
            return "".join(value)
        case list():
            return [_joined(item) for item in value]
        case dict():
            return {name: _joined(item) for name, item in value.items()}
        case _:
            return value
