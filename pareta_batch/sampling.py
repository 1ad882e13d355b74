"""Sampling fields of a batch's requests."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from pydantic import ConfigDict, Field, model_validator

from pareta_batch.money import EXTRA_BODY, most_answer_tokens
from pareta_batch.sampling_fields import RESPONSE_FORMAT, TEXTS, misspelt, no_booleans
from pareta_batch.spec_base import Spec, infinite


class Sampling(Spec):
    """Sampling fields of a request; fields not declared here are passed to the service unchanged."""

    model_config = ConfigDict(extra="allow")
    in_body: ClassVar[frozenset[str]] = frozenset({"model", "messages", "stream"})
    reserved: ClassVar[frozenset[str]] = in_body | {
        *("timeout", "deadline", "idempotency_key", "max_retries", "extra_headers", "extra_query")
    }
    """Fields that the batch sets, and arguments of the client that are not request fields."""
    one_per_batch: ClassVar[frozenset[str]] = frozenset(
        {"response_format", "tools", "tool_choice", "functions", "function_call", EXTRA_BODY}
    )
    """Fields that no column can set."""

    undeclared: ClassVar[Mapping[str, Any]] = {**dict.fromkeys(TEXTS, str), "stop": str | tuple[str, ...]}
    """Types of known fields that are not declared here, where the type is text."""

    temperature: float | None = Field(None, ge=0, le=2, description="0 for the most likely answer, up to 2")
    top_p: float | None = Field(None, gt=0, le=1, description="Share of probability mass to sample from")
    max_tokens: int | None = Field(None, ge=1, le=1_000_000, description="Longest answer, in tokens")
    seed: int | None = Field(None, description="Same seed, same answer, where the model supports it")

    @model_validator(mode="after")
    def no_field_is_misspelt(self) -> "Sampling":
        extra = self.model_extra or {}
        wrong = misspelt(extra)
        for outer in ("response_format", "response_format.json_schema"):
            inner = _inner(extra, outer)
            wrong |= {f"{outer}.{name}": meant for name, meant in misspelt(inner, RESPONSE_FORMAT).items()}
        if wrong:
            raise ValueError(_meant(wrong))
        if places := list(infinite(extra, "sampling")):
            raise ValueError(f"{places[0]}, which is no JSON number")
        if texts := no_booleans(extra):
            raise ValueError(f"{texts[0]} is {extra[texts[0]]!r:.40}, which is text; write true or false")
        return self

    def fields(self) -> dict[str, Any]:  # the service's own fields: any JSON value
        """Return the request fields that were set; raises ValueError for a field that the batch sets itself."""
        fields = self.model_dump(exclude_none=True)
        extra = fields.get(EXTRA_BODY, {})
        if not isinstance(extra, dict) or EXTRA_BODY in extra:
            raise ValueError(f"sampling.extra_body is {extra!r:.60}: it must be a mapping of fields")
        merged = self.reserved & extra.keys()
        if taken := sorted({*(self.reserved & fields.keys()), *(f"{EXTRA_BODY}.{name}" for name in merged)}):
            raise ValueError(f"sampling may not set {', '.join(taken)}: the batch sets it")
        return fields

    @property
    def response_format(self) -> Any:  # any JSON value
        """The response format, with `extra_body` merged over the other fields."""
        fields = self.fields()
        return {**fields, **fields.get(EXTRA_BODY, {})}.get("response_format")

    @property
    def most_tokens(self) -> int | None:
        """Upper bound of the tokens of one answer, all choices together; None if it is unbounded."""
        return most_answer_tokens(self.fields())


def misspelt_fields(names: Iterable[str]) -> str:
    """Return the problem of misspelt sampling fields; empty without one."""
    return _meant(misspelt(names))


def _meant(wrong: Mapping[str, str]) -> str:
    return "; ".join(f"{_plain(name)}: did you mean {meant}?" for name, meant in wrong.items())


def _plain(name: str) -> str:
    return name if name.replace("_", "").replace(".", "").isalnum() else f"{name!r:.60}"


def _inner(fields: dict[str, Any], path: str) -> list[str]:  # any JSON value
    """Return the names of the fields under a dotted path; empty if its value is not an object."""
    found: Any = fields
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return [name for name in found if isinstance(name, str)] if isinstance(found, dict) else []
