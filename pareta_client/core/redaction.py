"""Redaction of the API key in replies, failures and stream events, before any other code reads them."""

import codecs
import json
from copy import copy
from dataclasses import replace

from pareta_client.core.json_reading import Json
from pareta_client.core.sse import Comment, Event
from pareta_client.core.steps import Failed, Reply
from pareta_client.secret import Secret

_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def redacted_reply(reply: Reply, secret: Secret) -> Reply:
    """Return the reply without the key in headers and body; the same object if it did not contain the key."""
    body = reply.body
    if _is_wide(body):
        body = body.decode(json.detect_encoding(body), "replace").encode("utf-8", "replace")
    elif not secret.may_be_in(body) and not secret.may_be_in(b" ".join([value for _, value in reply.headers])):
        return reply
    clean = secret.redacted(body)
    headers = [(name, secret.redacted(value)) for name, value in reply.headers]
    return replace(reply, headers=headers, body=clean, is_redacted=clean != body)


def redacted_failure(failed: Failed, secret: Secret) -> Failed:
    """Return the failure without the key in its error and causes: transports quote data that they cannot parse."""
    headers = [(name, secret.redacted(value)) for name, value in failed.headers]
    error = failed.error
    texts = list[str]()
    cause: BaseException | None = error
    while cause is not None and len(texts) < 10:
        texts.append(f"{cause} {cause!r}")
        cause = cause.__cause__ or cause.__context__
    if all(secret.redacted_text(text) == text for text in texts):
        return replace(failed, headers=headers) if headers else failed
    clean = copy(error)  # without its causes
    clean.args = (secret.redacted_text(str(error)),)
    return replace(failed, error=clean, headers=headers)


def redacted_item(item: Event | Comment, secret: Secret) -> Event | Comment:
    """Return the stream item without the key."""
    match item:
        case Event(name, data):
            return Event(secret.redacted_text(name), secret.redacted_text(data))
        case Comment(text):
            return Comment(secret.redacted_text(text))


def redacted_json(value: Json, secret: Secret) -> Json:
    """Return the JSON value without the key; for texts assembled from several chunks."""
    text = json.dumps(value, ensure_ascii=False)
    clean = secret.redacted_text(text)
    return value if clean == text else json.loads(clean)


def _is_wide(body: bytes) -> bool:
    """Check for UTF-16 or UTF-32, in which the byte search would not find the key."""
    return b"\x00" in body[:4] or body[:2] in _WIDE
