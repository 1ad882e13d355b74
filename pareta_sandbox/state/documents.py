"""Documents of eval rows: attached inline, or uploaded to a signed URL and then confirmed."""

import secrets
from dataclasses import dataclass

from pareta_sandbox.http.errors import Refusal, invalid
from pareta_sandbox.models import media
from pareta_sandbox.state.eval_sets import EvalSet

MAX_INLINE_BYTES = 5 * 1024 * 1024
MAX_UPLOAD_BYTES = 100 * 1024 * 1024
MAX_OPEN_UPLOADS = 64  # a further upload evicts the oldest one


@dataclass(slots=True)
class Upload:
    """A pending upload of one document; its token is the permission to write."""

    token: str
    set_id: str
    size: int
    content: bytes | None = None

    @property
    def storage_uri(self) -> str:
        """The URI that confirms the upload."""
        return f"sandbox://eval-sets/{self.set_id}/{self.token}"


class Uploads:
    """The pending uploads."""

    def __init__(self) -> None:
        self._by_token: dict[str, Upload] = {}

    def open(self, eval_set: EvalSet, size: int) -> Upload:
        """Open an upload for a document of `size` bytes."""
        if len(self._by_token) >= MAX_OPEN_UPLOADS:
            del self._by_token[next(iter(self._by_token))]
        upload = Upload(secrets.token_urlsafe(24), eval_set.id, size)
        self._by_token[upload.token] = upload
        return upload

    def put(self, token: str, content: bytes) -> None:
        """Store the uploaded bytes; refuse an unknown URL with 403, and a wrong size with 400."""
        upload = self._by_token.get(token)
        if upload is None:
            raise Refusal(403, "this upload URL is unknown or has expired")
        if len(content) != upload.size:
            raise Refusal(400, f"{upload.size} bytes were announced, {len(content)} came")
        upload.content = content

    def take(self, eval_set: EvalSet, storage_uri: str) -> bytes:
        """Return the uploaded bytes and close the upload; refuse an unknown or empty upload with 422."""
        upload = self._by_token.get(storage_uri.rpartition("/")[2])
        if upload is None or upload.storage_uri != storage_uri or upload.set_id != eval_set.id:
            raise invalid(["body", "storage_uri"], "this upload is unknown for this eval set")
        if upload.content is None:
            raise invalid(["body", "storage_uri"], "nothing was uploaded yet: PUT the document to the upload URL first")
        del self._by_token[upload.token]
        return upload.content


def attach(eval_set: EvalSet, idx: int, field_name: str, mime: str, content: bytes) -> dict[str, object]:
    """Attach a document to a field of a row.

    The built-in models read text, and images, PDFs and audio by their text or hash. A row with another binary
    document is answered with an error.
    """
    if not 0 <= idx < len(eval_set.rows):
        raise invalid(["body", "idx"], f"there is no row {idx}; the set has {len(eval_set.rows)}")
    row = eval_set.rows[idx]
    if not isinstance(row.input, dict):
        raise invalid(["body", "idx"], f"the input of row {idx} is a text, not an object with fields")
    text = readable(content)
    row.input[field_name] = text or ""
    row.unreadable.discard(field_name)
    if text is None:
        row.unreadable.add(field_name)
    return {"idx": idx, "field_name": field_name, "mime": mime, "size": len(content), "status": "attached"}


def readable(content: bytes) -> str | None:
    """Return the text of a document, as a model reads it; None for an unknown binary type."""
    if (medium := media.read(content)) is not None:
        return medium.text
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if "\x00" in text else text
