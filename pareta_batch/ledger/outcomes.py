"""What became of a row, and of all rows of a batch."""

from dataclasses import dataclass, field
from typing import Literal

from pareta_batch.errors import UnexpectedError
from pareta_batch.money import NO_PRICES, Prices, dollars

State = Literal["pending", "settled", "failed"]
Flag = Literal["cut", "filtered", "empty", "misfit", "unclear", "unchecked"]
"""`unclear`: no known reason says that the answer is complete. `unchecked`: the schema check took too long."""


@dataclass(frozen=True)
class Outcome:
    """The end of one ask: an answer that was paid for, or the error that stands in its place.

    `attempts`: of all runs together; of one run when it is written. `latency_ms`: the last attempt's.
    `billed_micro_usd` is None where the service does not tell. `in_doubt`: a request may have been paid without its
    answer being here. `resent`: answered after a request that was in doubt; billed 0, it is a replay of what was paid.
    `message`: what the service sent beside the text, as JSON. `notes`: what was odd about the reply.
    """

    key: str
    fingerprint: str
    state: State
    attempts: int
    answer: str | None = None
    finish_reason: str | None = None
    flag: Flag | None = None
    error: str | None = None
    error_message: str | None = None
    retryable: bool = False
    in_doubt: bool = False
    resent: bool = False
    request_id: str | None = None
    latency_ms: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    billed_micro_usd: int | None = None
    message: str | None = None
    notes: str | None = None


MOST_KEPT = 100_000
"""Characters kept of an answer that the ledger cannot hold as it is."""


def unwritable(outcome: Outcome, failure: UnexpectedError) -> Outcome:
    """Return the failure that stands in place of an outcome that the ledger cannot hold, with its receipt."""
    return Outcome(
        key=outcome.key,
        fingerprint=outcome.fingerprint,
        state="failed",
        attempts=outcome.attempts,
        error=type(failure).__name__,
        error_message=f"{failure}; the answer was {outcome.answer!r:.{MOST_KEPT}}",
        in_doubt=outcome.in_doubt,
        request_id=outcome.request_id,
        billed_micro_usd=outcome.billed_micro_usd,
    )


@dataclass(frozen=True)
class Tally:
    """How the rows of a batch's current dataset stand, and what they cost; money in micro-USD.

    `unknown` rows have no answer here though a request for them may have been paid; `replayed` answers were paid for
    by a request whose receipt is lost; `billed_unanswered` rows have no answer although a reply was
    billed for certain; `unanswered_micro_usd` is what all rows without an answer were billed.
    `unbilled` answers came without a receipt.
    `superseded_micro_usd` went to rows that were edited or removed since, and requests for `superseded_unknown` of
    those may have been paid.
    """

    settled: int = 0
    failed: int = 0
    pending: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    flagged: dict[str, int] = field(default_factory=dict)
    billed_micro_usd: int | None = None
    superseded_micro_usd: int = 0
    superseded_unknown: int = 0
    superseded_bytes: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    unknown: int = 0
    unknown_bytes: int = 0
    billed_unanswered: int = 0
    unanswered_micro_usd: int = 0
    resent: int = 0
    replayed: int = 0
    replayed_prompt_tokens: int = 0
    replayed_completion_tokens: int = 0
    unbilled: int = 0
    unbilled_bytes: int = 0
    prices: Prices = NO_PRICES

    @property
    def total(self) -> int:
        """Rows in all."""
        return self.settled + self.failed + self.pending

    @property
    def doubtful(self) -> int:
        """Requests that were or may have been paid and whose receipt never came."""
        return self.unknown + self.superseded_unknown + self.unbilled

    @property
    def doubtful_bytes(self) -> int:
        """Bytes of the prompts of the doubtful requests."""
        return self.unknown_bytes + self.superseded_bytes + self.unbilled_bytes

    @property
    def not_paid(self) -> int:
        """Rows for which certainly nothing was paid."""
        return self.total - self.settled - self.unknown - self.billed_unanswered

    @property
    def rest_micro_usd(self) -> int | None:
        """Estimate what the pending rows will cost, as those before did on average; None while none was billed."""
        receipts = self.settled - self.replayed
        return round(self.pending * self.billed_micro_usd / receipts) if self.billed_micro_usd and receipts else None

    @property
    def replayed_at_most_micro_usd(self) -> int | None:
        """Bound what the replayed answers cost when they were first given; None while no receipt tells the price."""
        if not self.replayed:
            return 0
        return self.prices.at_most(self.replayed, self.replayed_prompt_tokens, self.replayed_completion_tokens)

    def unknown_at_most_micro_usd(self, max_tokens: int | None) -> int | None:
        """Bound what the unknown rows may have cost; None while no receipt tells the price.

        Without `max_tokens`, the longest answer so far stands for the longest there can be.
        """
        return self.prices.of_requests(self.unknown, self.unknown_bytes, max_tokens) if self.unknown else 0

    def __str__(self) -> str:
        cost = "cost unknown" if self.billed_micro_usd is None else f"{dollars(self.billed_micro_usd)} billed"
        unknown = f"; {self.unknown} unknown whether paid" if self.unknown else ""
        counts = sorted({**self.errors, **self.flagged}.items())
        errors = "".join(f"; {count} {name}" for name, count in counts)
        return (
            f"{self.settled} of {self.total} rows settled, {self.failed} failed, {self.pending} pending; "
            f"{cost}{unknown}{errors}"
        )
