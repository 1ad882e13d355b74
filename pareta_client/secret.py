"""Redaction of the API key in printed, logged and stored text, including replies that echo it."""

import re
from functools import cached_property
from html import unescape
from typing import NoReturn

REDACTED = "[redacted]"
MIN_SECRET_CHARACTERS = 8
"""Shorter keys are placeholders ("none", "EMPTY") and are not redacted; raising it leaves longer keys visible."""
MIN_PART_CHARACTERS = 12
"""Minimum length of a redacted key prefix; shorter ones are public (pareta_sk_). Raising it redacts less."""
PART_FRACTION = 0.7
"""Fraction of the key that is redacted as a truncated key; raising it leaves longer truncated keys visible."""
MIN_BARE_CHARACTERS = 16
"""Minimum length of a key without its public prefix that is redacted; raising it redacts less."""
WINDOW_BYTES = 1024 * 1024
"""Bytes unescaped at once during the search for an encoded key; raising it costs memory for large bodies."""
OVERLAP_BYTES = 8 * 1024
"""Overlap of two windows, larger than any encoding of a key; raising it costs time."""
_PUBLIC_PREFIX = re.compile(r"(?:[A-Za-z]{1,12}[_-]){1,4}")
_ORDINARY = re.compile(r"[\w.~:+=-]*", re.ASCII)
_ENTITIES = {'"': b"quot", "&": b"amp", "<": b"lt", ">": b"gt", "'": b"apos"}
_ESCAPED = re.compile(rb"(?:\\+(?:u00|x)|%(?:25)*)([0-9a-fA-F]{2})")
_MORE_OF_A_KEY = rb"(?:[\w-]|%(?:25)*[0-9a-f]{2}|\\+u00[0-9a-f]{2}|&#x?[0-9a-f]{1,4};)*"


class Secret:
    """A secret text that only `reveal` and `bearer` return; its repr hides it and it cannot be pickled."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.bearer = f"Bearer {text}"
        needles = [spelled for part in _needles_of(text) for spelled in (part, part.lower(), part.upper())]
        self._needles = tuple(dict.fromkeys(needle.encode() for needle in needles))
        if self._needles and not _ORDINARY.fullmatch(text):
            self._needles = (b"",)  # many possible escapes: always apply the pattern

    def reveal(self) -> str:
        """Return the secret text."""
        return self._text

    def redacted(self, content: bytes) -> bytes:
        """Return the content with the secret replaced, plain or encoded for URLs, JSON or HTML."""
        return self._pattern.sub(REDACTED.encode(), content) if self.may_be_in(content) else content

    def may_be_in(self, content: bytes) -> bool:
        """Check quickly whether the content may contain the secret; false positives are possible."""
        for needle in self._needles:
            if needle in content:
                return True
        if not self._needles or not _is_encoded(content):
            return False
        # In overlapping windows: unescaping takes a multiple of the content's memory.
        for at in range(0, len(content), WINDOW_BYTES):
            plain = _unescaped(content[at : at + WINDOW_BYTES + OVERLAP_BYTES])
            if any(needle in plain for needle in self._needles):
                return True
        return False

    def redacted_text(self, text: str) -> str:
        """Return the text with the secret replaced."""
        content = text.encode("utf-8", "surrogatepass")
        clean = self.redacted(content)
        return text if clean == content else clean.decode("utf-8", "surrogatepass")

    @cached_property
    def _pattern(self) -> re.Pattern[bytes]:
        # The whole key first: after a part of it, the pattern also removes the following key characters.
        whole = (self._text, *_parts(self._text)[1:], _parts(self._text)[0])
        spelled = [b"".join(map(_spellings, part)) for part in whole]
        return re.compile(b"(?:%s)%s" % (b"|".join(spelled), _MORE_OF_A_KEY), re.IGNORECASE)

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an API key is not pickled: create the client in each process, from the environment")


def _is_encoded(content: bytes) -> bool:
    # Single bytes first: the search for them takes a tenth of the time.
    return (
        b"%" in content
        or (b"\\" in content and (b"\\u00" in content or b"\\x" in content))
        or (b"&" in content and b"&#" in content)
    )


def _unescaped(content: bytes) -> bytes:
    """Return the content with encoded ASCII characters decoded; only accurate enough for the search for a key."""
    content = _ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), content)
    if b"&#" in content:
        content = unescape(content.decode("latin-1")).encode("latin-1", "replace")
    return content


def _parts(text: str) -> list[str]:
    """Return the parts of a key that are redacted: its first characters, and the key without its public prefix."""
    if len(text) < MIN_SECRET_CHARACTERS:
        return []
    prefix = _PUBLIC_PREFIX.match(text)
    bare = text[prefix.end() :] if prefix else ""
    beginning = text[: max(MIN_PART_CHARACTERS, round(len(text) * PART_FRACTION))]
    return [beginning, bare] if len(bare) >= MIN_BARE_CHARACTERS else [beginning]


def _needles_of(text: str) -> list[str]:
    """Return the search terms: the common substring of all parts if it is long enough, otherwise the parts."""
    parts = _parts(text)
    common = parts[0][len(text) - len(parts[-1]) :] if len(parts) > 1 else ""
    return [common] if len(common) >= MIN_SECRET_CHARACTERS else parts


def _spellings(character: str) -> bytes:
    """Return a pattern for one character: plain, escaped, or encoded once or several times."""
    number = ord(character)
    plain = re.escape(character).encode()
    escaped = plain if character.isalnum() else rb"\\*" + plain
    entity = b"&%s;|" % _ENTITIES[character] if character in _ENTITIES else b""
    codes = rb"%%(?:25)*%02x|\\+(?:u00|x)%02x|&#(?:0*%d|x0*%x);" % (number, number, number, number)
    return b"(?:%s%s|%s)" % (entity, escaped, codes)
