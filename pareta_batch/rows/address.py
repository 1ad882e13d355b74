"""Addresses of datasets: a path of this machine, `-`, or a URL of an object store. No I/O."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlencode, urlsplit

STANDARD_INPUT = "-"

URL_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "s3": ("endpoint_override", "region", "scheme"),
    "gs": ("endpoint_override", "scheme"),
}
"""Options that a URL may have, by scheme; none of them is a credential."""

ANONYMOUS = "anonymous"
"""User of a `gs://` URL that reads a public bucket without credentials."""

ALIASES = {"s3a": "s3", "s3n": "s3", "gcs": "gs"}

_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://")


@dataclass(frozen=True)
class Address:
    """The store (`file`, `s3`, `gs`, or `-` for standard input), and the path in it: `bucket/key` in an object store.

    `shown` is the prefix of the names of its files in messages.
    """

    store: str
    path: str
    shown: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    anonymous: bool = False

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Parse a path or a URL.

        Raises ValueError, without the text of credentials, for an unsupported URL or one with credentials.
        """
        if text == STANDARD_INPUT:
            return cls(STANDARD_INPUT, text)
        found = _SCHEME.match(text)
        if found is None:
            return cls("file", text)
        written, after = found["scheme"].lower(), text[found.end() :]
        scheme = ALIASES.get(written, written)
        if scheme == "file":
            return cls("file", _local_path(text))
        anonymous = scheme == "gs" and after.startswith(f"{ANONYMOUS}@")
        after = after.removeprefix(f"{ANONYMOUS}@") if anonymous else after
        _check_no_credentials(scheme, after)
        if scheme not in URL_OPTIONS:
            supported = "s3://, gs://, file:// or a path of this machine"
            raise ValueError(f"{scheme}:// is not supported; use {supported}")
        path, options = _split_options(scheme, after)
        if not path.strip("/"):
            raise ValueError(f"{scheme}:// without a bucket; write {scheme}://BUCKET/KEY")
        return cls(scheme, path, f"{written}://", options, anonymous)

    def name_of(self, path: str) -> str:
        """Return the name of a file of this store in messages."""
        return self.shown + path

    @property
    def url(self) -> str:
        """The address in one spelling, to compare it: without aliases, and with its options in order."""
        options = f"?{urlencode(sorted(self.options.items()))}" if self.options else ""
        return f"{self.store}://{f'{ANONYMOUS}@' if self.anonymous else ''}{self.path}{options}"


def _local_path(text: str) -> str:
    try:
        url = urlsplit(text)
    except ValueError:
        raise ValueError("file:// URL is invalid; write file:///PATH") from None
    if url.netloc not in ("", "localhost") or not url.path:
        raise ValueError("file:// URL names a host; write file:///PATH, with three slashes")
    return unquote(url.path)


def _check_no_credentials(scheme: str, after: str) -> None:
    if "@" in re.split(r"[/?#]", after, maxsplit=1)[0]:
        raise ValueError(f"{scheme}:// URL with credentials; remove them: they come from the environment")


def _split_options(scheme: str, after: str) -> tuple[str, Mapping[str, str]]:
    """Return path and options; a `?` without an option after it is a wildcard of the path."""
    path, _, query = after.rpartition("?")
    if not path or "=" not in query:
        return after, {}
    options: dict[str, str] = {}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name not in URL_OPTIONS[scheme]:
            allowed = ", ".join(URL_OPTIONS[scheme])
            problem = f"{scheme}:// URL with the unknown option {name!r:.40}; it may have: {allowed}"
            raise ValueError(f"{problem}; credentials come from the environment")
        options[name] = unquote(value)
    return path, options
