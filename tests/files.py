"""Small images, PDFs and audio with a text inside, which the sandbox reads."""

import struct
import zlib
from pathlib import Path


def png(text: str, *, size: int = 0) -> bytes:
    """Return a PNG of one pixel with a text in its description, padded to at least `size` bytes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    described = chunk(b"iTXt", b"Description\0\0\0\0\0" + text.encode()) if text else b""
    padding = chunk(b"paRt", b"\0" * size) if size else b""
    pixel = chunk(b"IDAT", zlib.compress(b"\0\0"))
    return b"\x89PNG\r\n\x1a\n" + head + described + padding + pixel + chunk(b"IEND", b"")


def pdf(*pages: str) -> bytes:
    """Return a PDF with a text on each page."""
    content = b"%PDF-1.4\n"
    for text in pages:
        escaped = text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
        lines = "".join(f"({line}) Tj\n" for line in escaped.split("\n"))
        stream = zlib.compress(f"BT\n{lines}ET".encode("latin-1"))
        content += b"<< /Type /Page >>\nstream\n" + stream + b"\nendstream\n"
    return content + b"%%EOF"


def wav(text: str) -> bytes:
    """Return a WAV without a sample, with a text in its comment."""
    comment = text.encode() + b"\0"
    info = b"INFOICMT" + struct.pack("<I", len(comment)) + comment
    body = b"WAVE" + b"LIST" + struct.pack("<I", len(info)) + info
    return b"RIFF" + struct.pack("<I", len(body)) + body


def mp3() -> bytes:
    """Return the header of one frame of MP3, with silence."""
    return b"\xff\xfb\x90\x00" + b"\0" * 413


def write(path: Path, content: bytes) -> Path:
    """Write a file, and return its path."""
    path.write_bytes(content)
    return path
