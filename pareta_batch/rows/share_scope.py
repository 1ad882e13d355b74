"""The scope in which a row may share its answer, from its request."""

from collections.abc import Mapping, Sequence
from typing import Any

from pareta_batch.reuse import Scope
from pareta_batch.rows.identity import Message


def scope_of(messages: Sequence[Message], sampling: Mapping[str, Any], *, also_sampled: bool) -> Scope:
    """Return the scope of a request: sampled answers are not shared, unless `also_sampled`.

    A URL is shared within the batch only: the fingerprint does not notice another file at the same address.
    """
    extra = sampling.get("extra_body") or {}
    temperature = extra.get("temperature", sampling.get("temperature")) if isinstance(extra, Mapping) else 1
    if temperature and not also_sampled:
        return "row"
    return "batch" if any(_is_remote(part) for part in _parts(messages)) else "ledger"


def _parts(messages: Sequence[Message]) -> list[object]:
    return [part for each in messages if isinstance(each.get("content"), list) for part in each["content"]]


def _is_remote(part: object) -> bool:
    """Return whether a content part names a URL, or a file that the service stores."""
    if not isinstance(part, Mapping):
        return False
    inner = part.get(str(part.get("type")))
    if not isinstance(inner, Mapping):
        return False
    url = inner.get("url")
    return "file_id" in inner or (isinstance(url, str) and not url.startswith("data:"))
