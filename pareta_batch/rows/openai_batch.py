"""Rows of a file made for OpenAI's batch API: `custom_id`, `method`, `url` and `body`."""

from collections.abc import Mapping
from typing import Any

OPENAI_COLUMNS = {"id_column": "custom_id", "messages_column": "body.messages"}
"""Fields of the spec that name columns, and the columns of such a file."""

URL = "/v1/chat/completions"
_SET_BY_THE_BATCH = frozenset({"model", "messages", "stream", "stream_options"})


def is_openai_batch(dataset: object) -> bool:
    """Return whether a dataset of a spec has the format `openai_batch`."""
    kind = dataset.get("format") if isinstance(dataset, Mapping) else getattr(dataset, "format", None)
    return kind == "openai_batch"


def sampling_in(values: Mapping[str, object]) -> Mapping[str, Any]:  # the service's own fields: any JSON value
    """Return the fields of a row's body that are neither its model nor its messages, without empty ones.

    Raises ValueError for a row that is no request of a chat completion.
    """
    body = values.get("body")
    if not isinstance(body, dict):
        # A ValueError: it is a problem of the row.
        raise ValueError("'body' is no object; the format openai_batch needs one in each row")  # noqa: TRY004
    method, url = values.get("method", "POST"), values.get("url", URL)
    if method != "POST" or url != URL:
        raise ValueError(f"{method!s:.20} {url!s:.80}: only POST {URL} is supported; remove the row")
    if body.get("stream"):
        raise ValueError("'stream' is true; a batch reads whole answers: remove it")
    return {name: value for name, value in body.items() if name not in _SET_BY_THE_BATCH and value is not None}
