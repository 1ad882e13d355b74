"""Parsing of chat stream events into chunks, and the formats in which services report errors in a stream."""

from pareta_client.core.json_reading import Json, read_json
from pareta_client.core.sse import Event
from pareta_client.core.usable import is_aborted
from pareta_client.core.values import count_of
from pareta_client.models.record import RawJson
from pareta_client.retry import refused


class InvalidChunk(ValueError):
    """An event that is not a chunk; the message completes "the body …"."""


class ErrorEvent(Exception):
    """An error that the service reports inside a stream; `status` is its HTTP status or None."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


def chunk_in(event: Event, notes: list[str]) -> RawJson:
    """Return the chunk of an event.

    Raises InvalidChunk if the event is not a JSON object, and ErrorEvent if it reports an error.
    """
    if event.name.lower() == "error":
        raise _error_event(json_or_text(event.data))
    try:
        chunk = read_json(event.data.encode("utf-8", "replace"), notes)
    except ValueError as error:
        raise InvalidChunk(f"has an event that is not JSON ({error})") from None
    if not isinstance(chunk, dict):
        raise InvalidChunk("has an event that is not a JSON object")
    if reported := _error_in(chunk):
        raise _error_event(reported)
    return chunk


def _error_in(chunk: RawJson) -> Json:
    """Return the error that a chunk reports, or None."""
    if chunk.get("error"):
        return chunk["error"]
    choices = chunk.get("choices")
    if not isinstance(choices, list) or not choices:
        return chunk if _is_error(chunk) else None
    for choice in choices:
        if isinstance(choice, dict):
            if choice.get("error"):
                return choice["error"]
            if is_aborted(choice):
                return f"the service aborted the answer (finish_reason {choice['finish_reason']!r})"
    return None


def _is_error(chunk: RawJson) -> bool:
    """Check whether an object without choices is an error: by its kind, or by a message in place of an answer."""
    kinds = (chunk.get(name) for name in ("object", "type", "status"))
    texts = (chunk.get(name) for name in ("detail", "message", "msg", "errors"))
    return any(kind == "error" for kind in kinds) or chunk.get("success") is False or any(texts)


def _error_event(reported: Json) -> ErrorEvent:
    if isinstance(reported, dict) and reported.get("error"):
        reported = reported["error"]
    if not isinstance(reported, dict):
        return ErrorEvent(str(reported))
    codes = (count_of(reported.get(name)) for name in ("code", "status", "status_code"))
    status = next((code for code in codes if code is not None and refused(code)), None)
    texts = (reported.get(name) for name in ("message", "msg", "detail"))
    return ErrorEvent(next((text for text in texts if text and isinstance(text, str)), str(reported)), status)


def json_or_text(data: str) -> Json:
    """Return the value of a JSON text, or the text itself."""
    try:
        return read_json(data.encode("utf-8", "replace"), [])
    except ValueError:
        return data
