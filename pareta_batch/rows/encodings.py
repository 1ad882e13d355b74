"""Text of a dataset file in its encoding, and the place of what cannot be decoded."""

import codecs
import io
from typing import IO

UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def open_text(stream: IO[bytes], encoding: str | None, newline: str) -> io.TextIOWrapper:
    """Open a stream of bytes as text; without an encoding it is UTF-8, with or without a byte order mark."""
    return io.TextIOWrapper(stream, encoding=encoding or "utf-8-sig", newline=newline)


def undecodable(stream: IO[bytes], encoding: str | None) -> str:
    """Return the problem of a text that its encoding cannot decode, with ` line N` where lines are known."""
    codec = encoding or "utf-8"
    if "\n".encode(codec) != b"\n":  # lines of bytes are no lines of text
        return f": not {codec.upper()}; set another encoding"
    # Text is decoded in blocks: the line number of a reader is too low.
    for number, line in enumerate(stream, start=1):
        try:
            line.decode(codec)
        except UnicodeDecodeError:
            guess = "utf-16" if number == 1 and line.startswith(UTF_16_MARKS) else _guess(line, codec)
            return f" line {number}: not {codec.upper()}; set encoding, for example encoding: {guess}"
    return f": not {codec.upper()}; set another encoding"


def _guess(line: bytes, codec: str) -> str:
    for guess in ("utf-8", "cp1252"):
        try:
            line.decode(guess)
        except UnicodeDecodeError:
            continue
        if guess != codec:
            return guess
    return "latin-1"
