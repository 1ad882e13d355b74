"""The events of a chat stream as chunks, and every shape in which a service reports an error among them."""

from pareta_client.core.json_reading import Json, read_json
from pareta_client.core.sse import Event
from pareta_client.core.usable import is_broken_off
from pareta_client.core.values import count_of
from pareta_client.models.record import RawJson
from pareta_client.retry import refused


class NoChunk(ValueError):
    """An event that is no chunk; the text ends a sentence that begins with "the body"."""


class ErrorEvent(Exception):
    """An error that the service reports inside a stream; `status` is the HTTP status that it names, if it does."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


def chunk_in(event: Event, notes: list[str]) -> RawJson:
    """Return the chunk that an event holds.

    Raises NoChunk for an event that is no JSON object, ErrorEvent for one that reports an error.
    """
    if event.name == "error":
        raise _reported(json_or_text(event.data))
    try:
        chunk = read_json(event.data.encode("utf-8", "replace"), notes)
    except ValueError as error:
        raise NoChunk(f"has an event that is not JSON ({error})") from None
    if not isinstance(chunk, dict):
        raise NoChunk("has an event that is not a JSON object")
    if told := _error_in(chunk):
        raise _reported(told)
    return chunk


def _error_in(chunk: RawJson) -> Json:
    """Return what a chunk tells of an error, or None."""
    if chunk.get("error"):
        return chunk["error"]
    choices = chunk.get("choices")
    if not isinstance(choices, list) or not choices:
        return chunk if chunk.get("object") == "error" or chunk.get("detail") else None
    for choice in choices:
        if isinstance(choice, dict):
            if choice.get("error"):
                return choice["error"]
            if is_broken_off(choice):
                return f"it broke the answer off (finish_reason {choice['finish_reason']!r})"
    return None


def _reported(told: Json) -> ErrorEvent:
    if isinstance(told, dict) and told.get("error"):
        told = told["error"]
    if not isinstance(told, dict):
        return ErrorEvent(str(told))
    codes = (count_of(told.get(name)) for name in ("code", "status", "status_code"))
    status = next((code for code in codes if code is not None and refused(code)), None)
    texts = (told.get(name) for name in ("message", "msg", "detail"))
    return ErrorEvent(next((text for text in texts if text and isinstance(text, str)), str(told)), status)


def json_or_text(data: str) -> Json:
    """Return the value of a JSON text, or the text itself."""
    try:
        return read_json(data.encode("utf-8", "replace"), [])
    except ValueError:
        return data
