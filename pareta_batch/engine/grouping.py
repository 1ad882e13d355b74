"""Groups of a session's writes to the ledger: the rows claimed ahead, and the wait of a group for more entries."""

from dataclasses import dataclass

from pareta_batch.ledger import GroupWait
from pareta_batch.rate_limit import AdmissionGate, RateLimiter


@dataclass(frozen=True)
class Grouping:
    """Groups of claims and outcomes, each one transaction.

    `delay_s`: seconds that a group waits for more entries; higher makes fewer transactions, and later outcomes.
    `ahead`: rows that are claimed ahead at most, one for each call in flight; higher makes larger groups, and a kill
    leaves more rows in doubt. `holds_calls`: whether a call counts as in flight until its outcome is durable.
    """

    delay_s: float
    ahead: int
    holds_calls: bool

    def pool_size(self, max_in_flight: int) -> int:
        """Return the number of slots for rows: those in flight, and at least a quarter more, claimed ahead."""
        return max_in_flight + 1 + max(max_in_flight // 4, min(max_in_flight, self.ahead))

    def workers(self, max_in_flight: int) -> int:
        """Return the number of rows at work at once: those with a slot, and answers that are not durable."""
        return self.pool_size(max_in_flight) + (0 if self.holds_calls else max_in_flight)

    def gate(self, max_in_flight: int) -> AdmissionGate:
        """Return the admission gate."""
        return AdmissionGate(RateLimiter(max_in_flight), holds_calls=self.holds_calls)

    def wait(self, gate: AdmissionGate) -> GroupWait:
        """Return the wait of a group: until an outcome is added, or until calls could wait for the group."""
        if self.holds_calls:
            return GroupWait(self.delay_s, lambda kind, writing: kind != "claim", joined=False)
        return GroupWait(self.delay_s, lambda kind, writing: gate.is_short(*writing), joined=True)


AT_ONCE = Grouping(delay_s=0.005, ahead=0, holds_calls=True)
"""Outcomes are written at once, claims with the next of them: a kill loses no more answers than calls in flight."""
IN_GROUPS = Grouping(delay_s=0.1, ahead=48, holds_calls=False)
"""For members, whose few calls make small groups: a group waits until calls could wait for it."""
