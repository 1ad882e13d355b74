"""Refusals: everything the service says no to, each with the status and body a client must cope with."""

from collections.abc import Mapping, Sequence

from pydantic import ValidationError

Detail = str | Sequence[Mapping[str, object]]


class Refusal(Exception):
    """A request is refused with a status, a `detail` and perhaps headers."""

    def __init__(self, status: int, detail: Detail, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})


class ClientGone(Exception):
    """The connection was dropped, so there is nobody left to answer."""


def invalid(where: Sequence[str | int], message: str, kind: str = "value_error") -> Refusal:
    """Refuse a request whose content is wrong at a place, as a 422 with a list."""
    return Refusal(422, [{"type": kind, "loc": list(where), "msg": message}])


def wrong_body(wrong: ValidationError) -> Refusal:
    """Turn pydantic's findings into a 422."""
    found = wrong.errors(include_url=False, include_context=False, include_input=False)
    return Refusal(422, [{**error, "loc": ["body", *error["loc"]]} for error in found])


def unauthorized(detail: str) -> Refusal:
    """Refuse a request whose key is missing or wrong."""
    return Refusal(401, detail, {"www-authenticate": "Bearer"})


def out_of_credit() -> Refusal:
    """Refuse metered work that the balance does not cover."""
    return Refusal(402, "Insufficient credits: top up your balance in the dashboard to continue.")


def too_long(prompt_tokens: int, context_k: int) -> Refusal:
    """Refuse a prompt that does not fit into the model's context window."""
    most = context_k * 1_000
    return Refusal(400, f"the prompt has {prompt_tokens} tokens; this model's context holds {most}")


def not_found(what: str, name: str) -> Refusal:
    """Refuse a request about something that is not there."""
    return Refusal(404, f"{what} '{name}' not found")
