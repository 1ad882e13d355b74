"""The API key, kept out of everything that is printed, logged or stored, also where the service says it back."""

import re
from functools import cached_property
from html import unescape
from typing import NoReturn

REDACTED = "[redacted]"
LEAST_SECRET = 8
"""Characters below which a key is a placeholder ("none", "EMPTY") that may stand in any text."""
LEAST_PART = 12
"""Characters of a key's beginning that are taken for the key, cut short; fewer are a public prefix (pareta_sk_)."""
PART_SHARE = 0.7
"""Share of a key that is taken for the key, cut short."""
LEAST_BARE = 16
"""Characters of a key without its public prefix that are taken for the key."""
WINDOW = 1024 * 1024
"""Bytes unescaped at once, to look for an encoded key; raising it costs memory for large bodies."""
OVERLAP = 8 * 1024
"""Bytes by which windows overlap: more than any encoding of a key takes."""
_PUBLIC_PREFIX = re.compile(r"(?:[A-Za-z]{1,12}[_-]){1,4}")
_ORDINARY = re.compile(r"[\w.~:+=-]*", re.ASCII)
_ENTITIES = {'"': b"quot", "&": b"amp", "<": b"lt", ">": b"gt", "'": b"apos"}
_ESCAPED = re.compile(rb"(?:\\+(?:u00|x)|%(?:25)*)([0-9a-fA-F]{2})")
_MORE_OF_A_KEY = rb"(?:[\w-]|%(?:25)*[0-9a-f]{2}|\\+u00[0-9a-f]{2}|&#x?[0-9a-f]{1,4};)*"


class Secret:
    """A text that only `reveal` and `bearer` show; it neither prints nor pickles."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.bearer = f"Bearer {text}"
        needles = [spelled for part in _looked_for(text) for spelled in (part, part.lower(), part.upper())]
        self._needles = tuple(dict.fromkeys(needle.encode() for needle in needles))
        if self._needles and not _ORDINARY.fullmatch(text):
            self._needles = (b"",)  # escaped in as many ways as there are formats: only the pattern tells

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def redacted(self, content: bytes) -> bytes:
        """Return content from outside without this text, plain or encoded for URLs, JSON or HTML; often unchanged."""
        return self._pattern.sub(REDACTED.encode(), content) if self.may_be_in(content) else content

    def may_be_in(self, content: bytes) -> bool:
        """Check, quickly, whether this text may stand in content from outside."""
        for needle in self._needles:
            if needle in content:
                return True
        if not self._needles or not _is_encoded(content):
            return False
        # In windows that overlap: what is unescaped takes many times its memory.
        for at in range(0, len(content), WINDOW):
            plain = _unescaped(content[at : at + WINDOW + OVERLAP])
            if any(needle in plain for needle in self._needles):
                return True
        return False

    def redacted_text(self, text: str) -> str:
        """Return a text from outside without this text."""
        content = text.encode("utf-8", "surrogatepass")
        clean = self.redacted(content)
        return text if clean == content else clean.decode("utf-8", "surrogatepass")

    @cached_property
    def _pattern(self) -> re.Pattern[bytes]:
        # The whole key first: what follows a part of it is guessed.
        whole = (self._text, *_parts(self._text)[1:], _parts(self._text)[0])
        spelled = [b"".join(map(_spellings, part)) for part in whole]
        return re.compile(b"(?:%s)%s" % (b"|".join(spelled), _MORE_OF_A_KEY), re.IGNORECASE)

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an API key is not pickled: create the client again from the environment where it is needed")


def _is_encoded(content: bytes) -> bool:
    # Single bytes first: looking for them takes a tenth of the time.
    return (
        b"%" in content
        or (b"\\" in content and (b"\\u00" in content or b"\\x" in content))
        or (b"&" in content and b"&#" in content)
    )


def _unescaped(content: bytes) -> bytes:
    """Return content with each encoded ASCII character as itself, to look for the key: fast, and good for no more."""
    content = _ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), content)
    if b"&#" in content:
        content = unescape(content.decode("latin-1")).encode("latin-1", "replace")
    return content


def _parts(text: str) -> list[str]:
    """Return the parts that betray a key: its beginning, and all of it but a public prefix if that is long enough."""
    if len(text) < LEAST_SECRET:
        return []
    prefix = _PUBLIC_PREFIX.match(text)
    bare = text[prefix.end() :] if prefix else ""
    beginning = text[: max(LEAST_PART, round(len(text) * PART_SHARE))]
    return [beginning, bare] if len(bare) >= LEAST_BARE else [beginning]


def _looked_for(text: str) -> list[str]:
    """Return what to look for first: what all parts of a key have in common, if that is long enough."""
    parts = _parts(text)
    common = parts[0][len(text) - len(parts[-1]) :] if len(parts) > 1 else ""
    return [common] if len(common) >= LEAST_SECRET else parts


def _spellings(character: str) -> bytes:
    """Return a pattern for one character as it stands, escaped, or encoded once or twice."""
    number = ord(character)
    plain = re.escape(character).encode()
    escaped = plain if character.isalnum() else rb"\\*" + plain
    entity = b"&%s;|" % _ENTITIES[character] if character in _ENTITIES else b""
    codes = rb"%%(?:25)*%02x|\\+(?:u00|x)%02x|&#(?:0*%d|x0*%x);" % (number, number, number, number)
    return b"(?:%s%s|%s)" % (entity, escaped, codes)
