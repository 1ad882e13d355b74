"""Images, PDFs and audio as the built-in models read them: by the text inside of the file, otherwise by a hash."""

import hashlib
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

IMAGE_TOKENS = 1_105
"""Tokens of an image: OpenAI's count for 1024 × 1024 at high detail, 85 + 6 × 170."""
AUDIO_BYTES_PER_TOKEN = 3_200
"""Bytes of audio per token: 16 bit at 16 kHz, and 10 tokens a second."""

_TEXT_OPERATOR = re.compile(rb"\(((?:\\.|[^\\()])*)\)\s*(?:Tj|'|\")|\[((?:\\.|[^\]])*)\]\s*TJ", re.DOTALL)
_STRING = re.compile(rb"\(((?:\\.|[^\\()])*)\)", re.DOTALL)
_STREAM = re.compile(rb"stream\r?\n(.*?)\r?\n?endstream", re.DOTALL)
_PAGE = re.compile(rb"/Type\s*/Page(?![A-Za-z])")
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}


@dataclass(frozen=True, slots=True)
class Medium:
    """A file as a model reads it, and its tokens."""

    kind: str
    text: str
    tokens: int


def read(content: bytes) -> Medium | None:
    """Return what a model reads of a file; None if it is no image, PDF or audio."""
    kind = kind_of(content)
    if kind is None:
        return None
    found = "\n".join(_texts(kind, content)).strip()
    text = found or f"{kind} sha256:{hashlib.sha256(content).hexdigest()}"
    return Medium(kind, text, _tokens(kind, content, text))


def kind_of(content: bytes) -> str | None:
    """Return `image`, `pdf` or `audio` by the first bytes of a file; None for another type."""
    container = content[8:12] if content[:4] == b"RIFF" else b""
    if content[:8] == b"\x89PNG\r\n\x1a\n" or content[:3] == b"\xff\xd8\xff" or content[:4] == b"GIF8":
        return "image"
    if container == b"WEBP":
        return "image"
    if b"%PDF-" in content[:1024]:
        return "pdf"
    is_mp3 = content[:3] == b"ID3" or (len(content) > 1 and content[0] == 0xFF and content[1] & 0xE6 == 0xE2)
    return "audio" if container == b"WAVE" or is_mp3 else None


def _tokens(kind: str, content: bytes, text: str) -> int:
    if kind == "image":
        return IMAGE_TOKENS
    if kind == "audio":
        return len(content) // AUDIO_BYTES_PER_TOKEN + 1
    return max(len(_PAGE.findall(content)), 1) * IMAGE_TOKENS + len(text) // 4


def _texts(kind: str, content: bytes) -> Iterator[str]:
    if kind == "pdf":
        yield from _pdf_texts(content)
    elif content[:4] == b"\x89PNG":
        yield from _png_texts(content)
    elif content[:4] == b"RIFF":
        yield from _wav_texts(content)


def _png_texts(content: bytes) -> Iterator[str]:
    place = 8
    while place + 8 <= len(content):
        size, name = struct.unpack(">I4s", content[place : place + 8])
        data = content[place + 8 : place + 8 + size]
        if name == b"tEXt" and data.startswith(b"Description\0"):
            yield data.partition(b"\0")[2].decode("latin-1")
        elif name == b"iTXt" and data.startswith(b"Description\0\0"):
            yield data.split(b"\0", 5)[-1].decode("utf-8", "replace")
        place += size + 12


def _wav_texts(content: bytes) -> Iterator[str]:
    for found in re.finditer(rb"ICMT(.{4})", content[:100_000], re.DOTALL):
        size = int.from_bytes(found[1], "little")
        yield content[found.end() : found.end() + size].rstrip(b"\0").decode("utf-8", "replace")


def _pdf_texts(content: bytes) -> Iterator[str]:
    for stream in _STREAM.finditer(content):
        for whole, pieces in _TEXT_OPERATOR.findall(_inflated(stream[1])):
            yield b"".join(map(_unescaped, _STRING.findall(pieces) if pieces else [whole])).decode("latin-1")


def _inflated(stream: bytes) -> bytes:
    try:
        return zlib.decompress(stream)
    except zlib.error:
        return stream


def _unescaped(text: bytes) -> bytes:
    return _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[1]), text)
