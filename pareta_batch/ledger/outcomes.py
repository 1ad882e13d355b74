"""The outcome of a row, and the tally of a batch's rows."""

from dataclasses import dataclass, field
from typing import Literal

from pareta_batch.errors import UnexpectedError
from pareta_batch.money import NO_PRICES, Prices, dollars

State = Literal["pending", "settled", "failed"]
Flag = Literal["cut", "filtered", "empty", "misfit", "unclear", "unchecked"]
"""`unclear`: the finish reason does not show that the answer is complete. `unchecked`: the schema check timed out."""


@dataclass(frozen=True)
class Outcome:
    """The final or current result of one row: a paid answer, or an error.

    `attempts`: those of one run when it is written, of all runs when it is read. `latency_ms`: of the last attempt.
    `billed_micro_usd`: None if the service reported no receipt. `in_doubt`: a request may have been paid although its
    answer was not received. `resent`: answered after a request in doubt; with a receipt of 0 it is a replay.
    `message`: the reply's content besides its text, as JSON. `notes`: irregularities of the reply.
    `turns`: JSON text of the answers that did not fit. `turn_bytes`: bytes that the open turn adds to the prompt.
    `asked_again_micro_usd`: receipts of later turns, part of the bill. `lost_receipts`: turns without theirs.
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
    turns: str | None = None
    turn_bytes: int = 0
    asked_again_micro_usd: int | None = None
    lost_receipts: int = 0


MAX_KEPT_CHARS = 100_000
"""Characters kept of an answer that cannot be stored unchanged; higher keeps more, in a larger ledger."""


def unwritable(outcome: Outcome, failure: UnexpectedError) -> Outcome:
    """Return a failed outcome, with the receipt, for an outcome that the ledger cannot store."""
    return Outcome(
        key=outcome.key,
        fingerprint=outcome.fingerprint,
        state="failed",
        attempts=outcome.attempts,
        error=type(failure).__name__,
        error_message=f"{failure}; the answer was {outcome.answer!r:.{MAX_KEPT_CHARS}}",
        in_doubt=outcome.in_doubt,
        request_id=outcome.request_id,
        billed_micro_usd=outcome.billed_micro_usd,
        turns=outcome.turns,
        asked_again_micro_usd=outcome.asked_again_micro_usd,
        lost_receipts=outcome.lost_receipts,
    )


@dataclass(frozen=True)
class Tally:
    """Counts and costs of the rows of a batch's current dataset; money in micro-USD.

    `unknown`: rows without an answer for which a request may have been paid. `replayed`: answers paid by a request
    whose receipt is lost. `unbilled`: answers that came without a receipt. `billed_unanswered`: rows without an answer
    although a reply was billed. `unanswered_micro_usd`: receipts of all rows without an answer.
    `superseded_micro_usd`: receipts of rows that were edited or removed since. `superseded_unknown`: requests of such
    rows that may have been paid without a receipt. `asked_again`: rows with a second turn. `lost_turns`: turns of
    unanswered rows whose receipt is lost. `copies`: rows that share the request of another row of the batch;
    `open_copies` of them wait for it. `reused`: rows with an answer of another batch. `copied`: answers of both kinds,
    which saved `saved_micro_usd`.
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
    asked_again: int = 0
    asked_again_micro_usd: int = 0
    lost_turns: int = 0
    lost_turn_bytes: int = 0
    copies: int = 0
    open_copies: int = 0
    copied: int = 0
    reused: int = 0
    saved_micro_usd: int = 0
    unbilled: int = 0
    unbilled_bytes: int = 0
    prices: Prices = NO_PRICES

    @property
    def total(self) -> int:
        """Number of rows."""
        return self.settled + self.failed + self.pending

    @property
    def answered(self) -> int:
        """Number of rows that were settled by a request of their own."""
        return self.settled - self.copied

    @property
    def doubtful(self) -> int:
        """Number of requests that were or may have been paid, without a receipt."""
        return self.unknown + self.lost_turns + self.superseded_unknown + self.unbilled

    @property
    def doubtful_bytes(self) -> int:
        """Prompt bytes of the doubtful requests."""
        return self.unknown_bytes + self.lost_turn_bytes + self.superseded_bytes + self.unbilled_bytes

    @property
    def not_paid(self) -> int:
        """Number of rows for which certainly nothing was paid."""
        return self.total - self.settled - self.unknown - self.billed_unanswered

    @property
    def rest_micro_usd(self) -> int | None:
        """Estimated cost of the pending rows at the average receipt; None without a receipt."""
        receipts, to_send = self.settled - self.replayed - self.copied, self.pending - self.open_copies
        return round(to_send * self.billed_micro_usd / receipts) if self.billed_micro_usd and receipts else None

    @property
    def replayed_at_most_micro_usd(self) -> int | None:
        """Upper bound of the original cost of the replayed answers; None while no price is known."""
        if not self.replayed:
            return 0
        return self.prices.at_most(self.replayed, self.replayed_prompt_tokens, self.replayed_completion_tokens)

    def unknown_at_most_micro_usd(self, max_tokens: int | None) -> int | None:
        """Return the upper bound of the cost of the unknown rows; None while no price is known.

        Without `max_tokens`, the longest answer so far is taken as the limit.
        """
        requests, size = self.unknown + self.lost_turns, self.unknown_bytes + self.lost_turn_bytes
        return self.prices.of_requests(requests, size, max_tokens) if requests else 0

    def __str__(self) -> str:
        cost = "cost unknown" if self.billed_micro_usd is None else f"{dollars(self.billed_micro_usd)} billed"
        unknown = f"; {self.unknown} unknown whether paid" if self.unknown else ""
        counts = sorted({**self.errors, **self.flagged}.items())
        errors = "".join(f"; {count} {name}" for name, count in counts)
        return (
            f"{self.settled} of {self.total} rows settled, {self.failed} failed, {self.pending} pending; "
            f"{cost}{unknown}{errors}"
        )
