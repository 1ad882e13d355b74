"""Refusals of the service: an error status with its body. `ClientGone` ends a request without a reply."""

from collections.abc import Mapping, Sequence

from pydantic import ValidationError

Detail = str | Sequence[Mapping[str, object]]


class Refusal(Exception):
    """An error reply: a status, a `detail` and optional headers."""

    def __init__(self, status: int, detail: Detail, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})


class ClientGone(Exception):
    """The connection is closed, so no reply can be sent."""


def invalid(where: Sequence[str | int], message: str, kind: str = "value_error") -> Refusal:
    """Refuse invalid content at one place with 422 and a list of one error."""
    return Refusal(422, [{"type": kind, "loc": list(where), "msg": message}])


def invalid_body(error: ValidationError) -> Refusal:
    """Convert a pydantic error into a 422 refusal."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return Refusal(422, [{**each, "loc": ["body", *each["loc"]]} for each in found])


def unauthorized(detail: str) -> Refusal:
    """Refuse a missing or invalid API key with 401."""
    return Refusal(401, detail, {"www-authenticate": "Bearer"})


def not_found(what: str, name: str) -> Refusal:
    """Refuse a request for an unknown object with 404."""
    return Refusal(404, f"{what} '{name}' not found")
