"""Types of attached files by their first bytes, and upper bounds of their tokens."""

import re
from collections.abc import Callable, Mapping
from typing import Literal

Kind = Literal["image", "pdf", "audio"]

HEAD_BYTES = 1_024
"""Bytes from which a type is detected; higher finds the header of a PDF after more leading bytes."""

KINDS: Mapping[str, Kind] = {
    "image/png": "image",
    "image/jpeg": "image",
    "image/gif": "image",
    "image/webp": "image",
    "application/pdf": "pdf",
    "audio/wav": "audio",
    "audio/mpeg": "audio",
}
NAMES: Mapping[Kind, str] = {
    "image": "an image (PNG, JPEG, GIF, WebP)",
    "pdf": "a PDF",
    "audio": "audio (WAV, MP3)",
}

IMAGE_TOKENS = 50_000
"""Upper bound of the tokens of an image; higher reserves more of a budget.

The highest published count is 48,169: GPT-4o mini, 2,833 + 8 tiles × 5,667.
"""
PDF_PAGE_TOKENS = IMAGE_TOKENS + 10_000
"""Upper bound of the tokens of a page: its image, and a dense page of text. Higher reserves more of a budget."""
MIN_PDF_PAGE_BYTES = 1_000
"""Assumed bytes of a page in a PDF whose page list is compressed; lower reserves more of a budget."""
AUDIO_BYTES_PER_TOKEN = 20
"""Bytes of audio per token: 8 kbit/s, the lowest rate of MP3, at 50 tokens a second. Lower reserves more."""

_PAGE = re.compile(rb"/Type\s*/Page(?![A-Za-z])")
_COUNT = re.compile(rb"/Count\s+(\d{1,9})")


def media_type_of(head: bytes) -> str | None:
    """Return the media type of a file from its first bytes; None for a type that cannot be attached."""
    return next((media_type for media_type, fits in _SIGNATURES.items() if fits(head)), None)


def tokens_at_most(media_type: str, content: bytes) -> int:
    """Return an upper bound of the tokens of a file; `content` may be empty for an image."""
    match KINDS[media_type]:
        case "image":
            return IMAGE_TOKENS
        case "pdf":
            return pages_of(content) * PDF_PAGE_TOKENS
        case "audio":
            return len(content) // AUDIO_BYTES_PER_TOKEN + 1


def pages_of(pdf: bytes) -> int:
    """Return the number of pages of a PDF; if its page list is compressed, an upper estimate from its size."""
    counts = [int(count) for count in _COUNT.findall(pdf)]
    pages = max([len(_PAGE.findall(pdf)), *counts])
    return pages or len(pdf) // MIN_PDF_PAGE_BYTES + 1


def _is_mp3(head: bytes) -> bool:
    if head[:3] == b"ID3":
        return True
    # A frame of layer III with a valid bit rate and sample rate.
    return (
        len(head) > 2
        and head[0] == 0xFF
        and head[1] & 0xE6 == 0xE2
        and head[2] >> 4 not in (0, 15)
        and head[2] & 0x0C != 0x0C
    )


_SIGNATURES: Mapping[str, Callable[[bytes], bool]] = {
    "image/png": lambda head: head[:8] == b"\x89PNG\r\n\x1a\n",
    "image/jpeg": lambda head: head[:3] == b"\xff\xd8\xff",
    "image/gif": lambda head: head[:6] in (b"GIF87a", b"GIF89a"),
    "image/webp": lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP",
    "application/pdf": lambda head: b"%PDF-" in head[:HEAD_BYTES],
    "audio/wav": lambda head: head[:4] == b"RIFF" and head[8:12] == b"WAVE",
    "audio/mpeg": _is_mp3,
}
