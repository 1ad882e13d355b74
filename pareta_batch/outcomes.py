"""What became of a row."""

from dataclasses import dataclass
from typing import Literal

State = Literal["pending", "settled", "failed"]


@dataclass(frozen=True)
class Outcome:
    """The end of one ask: an answer that was paid for, or the error that stands in its place.

    `latency_ms` is the last attempt's; `billed_micro_usd` is None where the service does not tell.
    """

    key: str
    fingerprint: str
    state: State
    attempts: int
    answer: str | None = None
    finish_reason: str | None = None
    error: str | None = None
    error_message: str | None = None
    retryable: bool = False
    request_id: str | None = None
    latency_ms: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    billed_micro_usd: int | None = None


@dataclass(frozen=True)
class Tally:
    """How many rows of a batch's current dataset stand in each state, and what they cost."""

    settled: int
    failed: int
    pending: int
    errors: dict[str, int]
    billed_micro_usd: int | None
    prompt_tokens: int
    completion_tokens: int

    @property
    def total(self) -> int:
        """Rows in all."""
        return self.settled + self.failed + self.pending

    def __str__(self) -> str:
        cost = "cost unknown" if self.billed_micro_usd is None else f"${self.billed_micro_usd / 1_000_000:.4f} billed"
        errors = "".join(f"; {count} {name}" for name, count in sorted(self.errors.items()))
        return (
            f"{self.settled} of {self.total} rows settled, {self.failed} failed, {self.pending} pending; {cost}{errors}"
        )
