"""The state of one row between its claim and its outcome."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pareta_batch.errors import shown
from pareta_batch.ledger import Outcome, State
from pareta_batch.rows import RowRequest, Turn, request_after, turns_of, turns_text
from pareta_client import ParetaError


@dataclass
class RowState:
    """Attempts, failures and receipts of one row in this run.

    `in_doubt`: whether an earlier request may have been paid. `claimed`: whether the ledger has a claim of the row
    without an outcome. `has_slot`: whether it has a slot of the worker pool. `billed_micro_usd`: the sum of its
    receipts; None without one.
    """

    request: RowRequest
    in_doubt: bool
    claimed: bool = False
    has_slot: bool = False
    attempts: int = 0
    transient_failures: int = 0
    recoveries: int = 0
    asked_to_wait_s: float = 0.0
    billed_micro_usd: int | None = None
    last_error: ParetaError | None = None
    turns: tuple[Turn, ...] = ()
    problem: str | None = None

    def __post_init__(self) -> None:
        self.turns = turns_of(self.request.turns)
        self.asked = request_after(self.request, self.turns)

    def end_turn(self, outcome: Outcome) -> Outcome:
        """Begin the next turn after an answer that does not fit; return the outcome that makes this one durable.

        It is the claim of the next turn too: once it is durable, the next request may be sent.
        """
        turn = Turn(
            answer=outcome.answer or "",
            problem=self.problem or "it does not fit",
            prompt_tokens=_own(outcome.prompt_tokens, [turn.prompt_tokens for turn in self.turns]),
            completion_tokens=_own(outcome.completion_tokens, [turn.completion_tokens for turn in self.turns]),
            billed_micro_usd=self.billed_micro_usd,
            request_id=outcome.request_id,
            resent=self.in_doubt,
            lost=self.in_doubt and self.billed_micro_usd == 0,
        )
        again = self.billed_micro_usd if self.turns else None
        attempts, billed = self.attempts, self.billed_micro_usd
        self.turns = (*self.turns, turn)
        self.asked = request_after(self.request, self.turns)
        self.attempts, self.billed_micro_usd, self.in_doubt = 0, None, False
        return Outcome(
            self.request.key,
            self.request.fingerprint,
            "pending",
            attempts=attempts,
            billed_micro_usd=billed,
            asked_again_micro_usd=again,
            prompt_tokens=outcome.prompt_tokens,
            completion_tokens=outcome.completion_tokens,
            in_doubt=True,
            resent=any(each.resent for each in self.turns),
            lost_receipts=sum(each.lost for each in self.turns),
            turns=turns_text(self.turns),
            turn_bytes=self.asked.prompt_bytes - self.request.prompt_bytes,
        )

    def kept(self, outcome: Outcome) -> Outcome:
        """Return the outcome of a row whose later turn certainly failed: the last answer, which was paid."""
        if not self.turns or outcome.state != "failed" or outcome.retryable or outcome.in_doubt:
            return outcome
        last = self.turns[-1]
        notes = f"asking again failed: {outcome.error}: {outcome.error_message}"
        known = {"answer": last.answer, "flag": "misfit", "request_id": last.request_id, "notes": notes}
        return self.outcome("settled", **known)

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
        if self.turns:
            known |= self._of_turns(state, known)
        return Outcome(key, work, state, attempts=self.attempts, billed_micro_usd=self.billed_micro_usd, **known)

    def _of_turns(self, state: State, known: dict[str, Any]) -> dict[str, Any]:  # fields of an outcome
        """Return the fields that all turns decide together: tokens are sums, because the receipts are added."""
        count = len(self.turns)
        again = f"asked again {count} time{'s' if count > 1 else ''}: {self.turns[-1].problem}"
        lost = state == "settled" and self.in_doubt and self.billed_micro_usd == 0
        fields: dict[str, Any] = {
            "turns": turns_text(self.turns),
            "turn_bytes": self.asked.prompt_bytes - self.request.prompt_bytes,
            "asked_again_micro_usd": self.billed_micro_usd,
            "resent": bool(known.get("resent")) or any(turn.resent for turn in self.turns),
            "lost_receipts": lost + sum(turn.lost for turn in self.turns),
        }
        if state != "settled":
            return fields
        for name in ("prompt_tokens", "completion_tokens"):
            counts = [known.get(name), *(getattr(turn, name) for turn in self.turns)]
            fields[name] = None if known.get(name) is None and "latency_ms" in known else sum(filter(None, counts))
        return {**fields, "notes": "; ".join(filter(None, (again, known.get("notes"))))}


def _own(total: int | None, earlier: Sequence[int | None]) -> int | None:
    """Return the tokens of one turn from the sum with those of earlier turns."""
    return None if total is None else total - sum(filter(None, earlier))
