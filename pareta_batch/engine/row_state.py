"""The state of one row between its claim and its outcome."""

from dataclasses import dataclass
from typing import Any

from pareta_batch.errors import shown
from pareta_batch.ledger import Outcome, State
from pareta_batch.rows import RowRequest
from pareta_client import ParetaError


@dataclass
class RowState:
    """Attempts, failures and receipts of one row in this run.

    `in_doubt`: whether an earlier request may have been paid. `claimed`: whether the ledger has a claim of the row
    without an outcome. `billed_micro_usd`: the sum of its receipts; None without one.
    """

    request: RowRequest
    in_doubt: bool
    claimed: bool = False
    attempts: int = 0
    transient_failures: int = 0
    recoveries: int = 0
    asked_to_wait_s: float = 0.0
    billed_micro_usd: int | None = None
    last_error: ParetaError | None = None

    def count_receipt(self, billed: int | None) -> None:
        """Add the receipt of one attempt, in micro-USD."""
        if billed is not None:
            self.billed_micro_usd = (self.billed_micro_usd or 0) + billed

    def unsent_outcome(self) -> Outcome | None:
        """Return the outcome of a row that will not be sent again: failed, with its receipt, if it was billed."""
        if self.billed_micro_usd and self.last_error is not None:
            return self.failed(self.last_error, retryable=True)
        return None

    def failed(self, error: Exception, *, retryable: bool, detail: str = "") -> Outcome:
        """Return a failed outcome with the error."""
        return self.outcome(
            "failed",
            error=type(error).__name__,
            error_message=shown(error) + detail,
            retryable=retryable,
            in_doubt=self.in_doubt,
            request_id=getattr(error, "request_id", None),
        )

    def outcome(self, state: State, **known: Any) -> Outcome:  # fields of an outcome
        """Return an outcome with the row's attempts and receipts."""
        key, work = self.request.key, self.request.fingerprint
        return Outcome(key, work, state, attempts=self.attempts, billed_micro_usd=self.billed_micro_usd, **known)
