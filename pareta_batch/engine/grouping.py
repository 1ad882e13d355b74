"""Groups of a session's writes to the ledger: the rows claimed ahead, and the wait of a group for more entries."""

from dataclasses import dataclass

from pareta_batch.ledger import GroupWait
from pareta_batch.rate_limit import AdmissionGate, RateLimiter

ROWS_PER_CALL = 2
"""Rows claimed ahead, and answers that wait to be written, per call in flight; higher makes larger groups of claims and
outcomes in members with few calls, and a kill leaves more rows in doubt."""


@dataclass(frozen=True)
class Grouping:
    """Groups of claims and outcomes, each one transaction.

    `delay_s`: seconds that a group waits for more entries; higher makes fewer transactions, and later outcomes.
    `ahead`: rows that wait for a group at most, claimed ahead or answered; higher makes larger groups, and a kill
    leaves more rows in doubt. With 0, a call counts as in flight until its outcome is durable.
    """

    delay_s: float
    ahead: int

    @property
    def holds_calls(self) -> bool:
        """Whether a call counts as in flight until its outcome is durable."""
        return not self.ahead

    def pool_size(self, max_in_flight: int) -> int:
        """Return the number of slots for rows: those in flight, and at least a quarter more, claimed ahead."""
        return max_in_flight + 1 + max(max_in_flight // 4, self._waiting(max_in_flight))

    def unsettled(self, max_in_flight: int) -> int:
        """Return the number of answers that may wait until they are durable, beside the calls in flight."""
        return 0 if self.holds_calls else max(max_in_flight, self._waiting(max_in_flight))

    def workers(self, max_in_flight: int) -> int:
        """Return the number of rows at work at once: those with a slot, and answers that are not durable."""
        return self.pool_size(max_in_flight) + self.unsettled(max_in_flight)

    def gate(self, max_in_flight: int) -> AdmissionGate:
        """Return the admission gate."""
        return AdmissionGate(RateLimiter(max_in_flight), unsettled=None if self.holds_calls else self.unsettled)

    def wait(self, gate: AdmissionGate) -> GroupWait:
        """Return the wait of a group: until an outcome is added, or until calls could wait for the group."""
        if self.holds_calls:
            return GroupWait(self.delay_s, lambda kind, writing: kind != "claim", joined=False)
        return GroupWait(self.delay_s, lambda kind, writing: gate.is_short(*writing), joined=True)

    def _waiting(self, max_in_flight: int) -> int:
        return min(ROWS_PER_CALL * max_in_flight, self.ahead)


AT_ONCE = Grouping(delay_s=0.005, ahead=0)
"""Outcomes are written at once, claims with the next of them: a kill loses no more answers than calls in flight."""
IN_GROUPS = Grouping(delay_s=0.2, ahead=48)
"""For members, whose few calls make small groups: a group waits until calls could wait for it."""
