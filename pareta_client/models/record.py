"""Base class of all records: typed fields without validation errors, and the complete raw JSON."""

from decimal import Decimal
from typing import Any, ClassVar, Self, cast

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler
from pydantic import model_validator as validates_model

RawJson = dict[str, Any]  # JSON object as received

MICRO_USD_PER_CENT = 10_000
_set = object.__setattr__  # bypasses the frozen model


class Record(BaseModel):
    """A record of the service: attributes for documented fields, raw JSON for all fields."""

    # Validators are built on first use: building all of them takes a third of the import time.
    model_config = ConfigDict(
        frozen=True, strict=True, extra="ignore", populate_by_name=True, protected_namespaces=(), defer_build=True
    )

    # A slot instead of a private attribute, which costs more time than the validation of a record.
    __slots__ = ("_raw",)
    _raw: ClassVar[RawJson]

    @validates_model(mode="wrap")
    @classmethod
    def _keep_raw(cls, raw: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        record = read(raw)
        _set(record, "_raw", raw if isinstance(raw, dict) else {})
        return record

    @classmethod
    def empty(cls) -> Self:
        """Return a record without fields."""
        record = cast("Self", cls.model_construct())  # pydantic's plugin for mypy says Record
        _set(record, "_raw", {})
        return record

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).model_validate, (self._raw,)

    def to_dict(self) -> RawJson:
        """Return the JSON object as received."""
        return self._raw

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._raw!r})"

    __str__ = __repr__

    def __getitem__(self, key: str) -> Any:
        return self._raw[key]

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a key of the raw JSON, or the default."""
        return self._raw.get(key, default)


def text_or_none(value: object) -> str | None:
    """Return the value if it is a text that is not empty, otherwise None."""
    return value if isinstance(value, str) and value else None


def dollars_floored_to_cents(micro_usd: int) -> Decimal:
    """Return dollars rounded down to cents, so that the result never exceeds the billed amount."""
    return Decimal(micro_usd // MICRO_USD_PER_CENT) / 100 + Decimal("0.00")
