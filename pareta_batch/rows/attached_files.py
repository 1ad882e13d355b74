"""Attached files: a reference with a hash when a row is registered, the bytes only when it is sent."""

import base64
import hashlib
from typing import Any

from pyarrow import ArrowException

from pareta_batch.rows.attached_places import content_of, size_of
from pareta_batch.rows.file_types import HEAD_BYTES, IMAGE_TOKENS, KINDS, NAMES, Kind, media_type_of, tokens_at_most
from pareta_batch.rows.storage import problem_of

REFERENCE = "pareta_file"
"""Type of the content part that refers to a file: in the ledger, never in a request."""

MAX_FILE_BYTES = 20_000_000
"""Bytes of one file; higher accepts files that services refuse, and needs more memory per row in flight."""
MAX_ROW_BYTES = 40_000_000
"""Bytes of all files of a row; higher needs more memory per row in flight."""
MAX_KNOWN_FILES = 10_000
"""References kept while a dataset is read; higher reads fewer files twice, and needs more memory."""

Part = dict[str, Any]  # a content part: any JSON value

_AUDIO_FORMATS = {"audio/wav": "wav", "audio/mpeg": "mp3"}


class FileChanged(Exception):
    """An attached file that changed, or went missing, after its row was registered; the row fails, and is not sent."""


class FileReferences:
    """References to the files of one dataset; a file that many rows attach is read once."""

    def __init__(self) -> None:
        self._known: dict[str, Part] = {}

    def of(self, place: str, kind: Kind | None) -> Part:
        """Return the reference of a file by its resolved path or URL.

        Raises ValueError for a missing file, or a wrong type or size.
        """
        try:
            found = self._known.get(place) or _reference(place)
        except (OSError, RuntimeError, ArrowException) as error:
            raise ValueError(f"file {place!r}: {problem_of(error)}") from None
        if len(self._known) < MAX_KNOWN_FILES:
            self._known[place] = found
        check_kind(found["media_type"], kind, f"file {place!r}")
        return dict(found)


def check_kind(media_type: str, kind: Kind | None, place: str) -> None:
    """Raise ValueError if a media type is not of the wanted kind."""
    if kind is not None and KINDS[media_type] != kind:
        raise ValueError(f"{place} is {NAMES[KINDS[media_type]]} by its content, not {NAMES[kind]}")


def _reference(place: str) -> Part:
    if (size := _size(place)) > MAX_FILE_BYTES:
        raise ValueError(f"file {place!r} has {size:,} bytes; at most {MAX_FILE_BYTES:,} can be attached")
    content = content_of(place)
    media_type = _checked_type(content[:HEAD_BYTES], f"file {place!r}")
    return {
        "type": REFERENCE,
        "path": place,
        "sha256": hashlib.sha256(content).hexdigest(),
        "media_type": media_type,
        "bytes": len(content),
        "tokens": tokens_at_most(media_type, content),
    }


def _size(place: str) -> int:
    try:
        return size_of(place)
    except ValueError as problem:
        raise ValueError(f"file {place!r}: {problem}") from None


def _checked_type(head: bytes, place: str) -> str:
    media_type = media_type_of(head)
    if media_type is None:
        seen = f"it begins with {head[:12]!r}" if head else "it is empty"
        raise ValueError(f"{place}: {seen}; attach {', '.join(NAMES.values())}")
    return media_type


def identity_of_part(part: Part) -> Part:
    """Return a part as it counts in the fingerprint: a file by its content, not by its place."""
    if part.get("type") != REFERENCE:
        return part
    return {name: value for name, value in part.items() if name in ("type", "sha256", "media_type", "detail")}


def read_part(part: Part) -> Part:
    """Return a part as it is sent, with the bytes of its file. Raises FileChanged."""
    if part.get("type") != REFERENCE:
        return part
    place = part["path"]
    try:
        content = content_of(place) if size_of(place) == part["bytes"] else None
    except (OSError, ValueError, ArrowException) as error:
        raise FileChanged(f"file {place!r}: {problem_of(error)}; nothing was sent; restore it") from None
    if content is None or hashlib.sha256(content).hexdigest() != part["sha256"]:
        raise FileChanged(f"file {place!r} changed since its row was registered; nothing was sent; run the batch again")
    return wire_part(part["media_type"], base64.b64encode(content).decode("ascii"), part.get("detail"))


def wire_part(media_type: str, encoded: str, detail: str | None = None) -> Part:
    """Return the content part of OpenAI's format for a file in base64."""
    match KINDS[media_type]:
        case "image":
            image = {"url": f"data:{media_type};base64,{encoded}"}
            return {"type": "image_url", "image_url": {**image, "detail": detail} if detail else image}
        case "pdf":
            # A constant name: the request depends on the content of the file only.
            data = f"data:{media_type};base64,{encoded}"
            return {"type": "file", "file": {"filename": "document.pdf", "file_data": data}}
        case "audio":
            return {"type": "input_audio", "input_audio": {"data": encoded, "format": _AUDIO_FORMATS[media_type]}}


def url_part(url: str, detail: str | None = None) -> Part:
    """Return the content part of an image that the service downloads."""
    return {"type": "image_url", "image_url": {"url": url, "detail": detail} if detail else {"url": url}}


def inline_type(data: str, place: str) -> tuple[str, bytes]:
    """Return the media type and the content of a data URL, or of plain base64; raises ValueError."""
    encoded = data.partition(",")[2] if data.startswith("data:") else data
    try:
        content = base64.b64decode(encoded, validate=True)
    except ValueError:
        raise ValueError(f"{place} is no valid base64") from None
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"{place} has {len(content):,} bytes; at most {MAX_FILE_BYTES:,} can be attached")
    return _checked_type(content[:HEAD_BYTES], place), content


def check_inline(part: Part, place: str) -> None:
    """Check the content of an image, a file or audio inside of a message; raises ValueError."""
    match part:
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            if not is_remote(url):
                check_kind(inline_type(_data_url(url, place), place)[0], "image", place)
        case {"type": "input_audio", "input_audio": {"data": str(data), **rest}}:
            media_type, _ = inline_type(data, place)
            check_kind(media_type, "audio", place)
            if rest.get("format") != _AUDIO_FORMATS[media_type]:
                raise ValueError(f"{place} is {_AUDIO_FORMATS[media_type]}; its format is {rest.get('format')!r:.40}")
        case {"type": "file", "file": {"file_data": str(data)}}:
            check_kind(inline_type(_data_url(data, place), place)[0], "pdf", place)


def _data_url(url: str, place: str) -> str:
    if not url.startswith("data:") or ";base64," not in url[:200]:
        raise ValueError(f"{place} has the URL {url[:60]!r}; use http, https, or a data URL in base64")
    return url


def is_remote(url: str) -> bool:
    """Return whether a URL is one that the service downloads."""
    return url.lower().startswith(("http://", "https://"))


def tokens_of(part: Part) -> int:
    """Return an upper bound of the tokens of an attached part that is not text."""
    match part:
        case {"type": "pareta_file", "tokens": int(tokens)}:
            return tokens
        case {"type": "image_url"}:
            return IMAGE_TOKENS
        case {"type": "file", "file": {"file_data": str(data)}}:
            return tokens_at_most(*inline_type(data, "file"))
        case _:
            return 0
