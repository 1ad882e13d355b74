"""An event stream that came although none was asked for, assembled into the completion it stands for."""

from typing import Any

from pareta_client.core.chunks import ErrorEvent, NoChunk, chunk_in
from pareta_client.core.json_reading import note
from pareta_client.core.receipt import Receipt, receipt_with_comment
from pareta_client.core.sse import DONE, Comment, Event, EventDecoder, LineTooLong
from pareta_client.core.steps import Reply
from pareta_client.models.record import RawJson

_FIELDS_OF_EVENTS = (b"data:", b"event:", b":", b"id:", b"retry:", b"error:")
_TOLD_ONCE = ("role", "id", "type", "name", "index", "object", "model")
"""Fields of a delta that a chunk repeats rather than continues."""


class NoCompletion(ValueError):
    """Events that make no completion; the text ends a sentence that begins with "the body"."""


def is_event_stream(body: bytes) -> bool:
    """Check whether a body is an event stream, whatever its content type says."""
    return body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(_FIELDS_OF_EVENTS)


def assembled(reply: Reply, receipt: Receipt, notes: list[str]) -> tuple[RawJson, Receipt]:
    """Return the completion that a whole event stream stands for, and its receipt; raises NoCompletion."""
    note(notes, "an event stream came although none was asked for: it was assembled")
    decoder, completion, done = EventDecoder(), _Completion(), False
    try:
        items = [*decoder.feed(reply.body), *decoder.end()]
    except LineTooLong as error:
        raise NoCompletion(f"is an event stream that cannot be read ({error})") from None
    for item in items:
        match item:
            case Comment(text):
                receipt = receipt_with_comment(receipt, text)
            case Event(_, data) if data.strip() == DONE:
                done = True
            case Event() if not done:
                _take(completion, item, notes)
    if not done and not completion.ended:
        raise NoCompletion("is an event stream that breaks off")
    return completion.raw(), receipt


def _take(completion: "_Completion", event: Event, notes: list[str]) -> None:
    try:
        completion.take(event, notes)
    except NoChunk as error:
        raise NoCompletion(str(error)) from None
    except ErrorEvent as error:
        raise NoCompletion(f"is an event stream with an error ({error})") from None


class _Completion:
    """A completion that grows chunk by chunk."""

    def __init__(self) -> None:
        self._fields: RawJson = {}
        self._choices: dict[int, RawJson] = {}

    @property
    def ended(self) -> bool:
        """Whether each choice has its finish_reason."""
        return bool(self._choices) and all(choice.get("finish_reason") for choice in self._choices.values())

    def take(self, event: Event, notes: list[str]) -> None:
        """Add one event; raises NoChunk or ErrorEvent."""
        chunk = chunk_in(event, notes)
        for name, value in chunk.items():
            if name != "choices" and value is not None:
                self._fields[name] = value
        choices = chunk.get("choices")
        for number, choice in enumerate(choices if isinstance(choices, list) else []):
            if isinstance(choice, dict):
                self._take_choice(number, choice)

    def _take_choice(self, number: int, choice: RawJson) -> None:
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
        """Return it as the service would have sent it in one piece."""
        choices = [_joined(self._choices[index]) for index in sorted(self._choices)]
        return {**self._fields, "object": "chat.completion", "choices": choices}


class _Text(list[str]):
    """A text that grows piece by piece: adding to a str copies it each time."""


def _merge(into: RawJson, delta: RawJson) -> None:
    """Continue a message by a delta: texts and lists are appended, tool calls by their index."""
    for name, value in delta.items():
        known = into.get(name)
        if isinstance(value, str) and isinstance(known, _Text):
            known.append(value)
        elif isinstance(value, str) and name not in _TOLD_ONCE:
            into[name] = _Text([value])
        elif isinstance(value, dict):
            if not isinstance(known, dict):
                known = into[name] = {}
            _merge(known, value)
        elif isinstance(value, list):
            if not isinstance(known, list) or isinstance(known, _Text):
                known = into[name] = []
            _continue(known, value)
        elif value is not None:
            into[name] = value


def _continue(known: list[Any], more: list[Any]) -> None:
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
