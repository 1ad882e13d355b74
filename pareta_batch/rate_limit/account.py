"""The limits of one account, shared by several limiters that report their usage to each other. Pure.

Each limiter reports its `Usage` about once a second and receives its `Allocation`. The exchange is the caller's: rows
in the ledger, or a parent process.

    R = mean of the account rates that the limiters learned
    allocated rate = min(demand, level), where the level is chosen so that these rates add up to R   (max-min fairness)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from statistics import fmean

MIN_USED_SHARE = 0.8
"""Used part of an allocated rate from which the demand counts as unlimited; higher leaves more to other runs."""
DEMAND_FACTOR = 1.25
"""Factor on the used rate that stays reserved for a run; higher lets it grow faster and leaves more unused."""
MIN_PART = 0.1
"""Lower bound of an allocated rate, as a part of R ÷ runs; higher lets an idle run start faster, and wastes more."""


@dataclass(frozen=True)
class Usage:
    """The report of one limiter to the others of its account.

    Args:
        started: calls started so far.
        refused: calls refused so far.
        pause_s: seconds that are left of the pause after its own refusals.
        account_per_s: learned rate of the whole account in calls per second; None while it is unknown.
        demand_per_s: calls per second that it can use; infinite while its allocation bounds it.
    """

    started: int
    refused: int
    pause_s: float = 0.0
    account_per_s: float | None = None
    demand_per_s: float = inf


@dataclass(frozen=True)
class Allocation:
    """The part of one limiter in the limits of its account.

    Args:
        part: its part of the account's rate, above 0 and at most 1.
        account_per_s: calls per second of the whole account; None while it is unknown.
        pause_s: seconds from now in which no limiter of the account starts a call.
    """

    part: float = 1.0
    account_per_s: float | None = None
    pause_s: float = 0.0


class DemandMeter:
    """The calls per second that a limiter can use, measured between two reports."""

    def __init__(self) -> None:
        self.started = 0
        self._reported = 0
        self._reported_at = -inf

    def demand_per_s(self, now: float, per_s: float, paused_until: float) -> float:
        """Return the demand since the last report, and begin the next measurement.

        Args:
            now: seconds.
            per_s: calls per second that were allowed.
            paused_until: end of the latest pause in seconds; a pause is no lack of demand.
        """
        used_per_s = (self.started - self._reported) / max(now - self._reported_at, 1e-3)
        bounded = paused_until > self._reported_at or used_per_s >= MIN_USED_SHARE * per_s
        self._reported_at, self._reported = now, self.started
        return inf if bounded else DEMAND_FACTOR * used_per_s


def allocation_of(own: Usage, others: Sequence[Usage]) -> Allocation:
    """Return the allocation of the limiter that reports `own`, beside the `others` of its account."""
    usages = [own, *others]
    pause_s = max(each.pause_s for each in others) if others else 0.0
    known = [each.account_per_s for each in usages if each.account_per_s is not None]
    if not known:
        return Allocation(1 / len(usages), None, pause_s)
    account_per_s = fmean(known)
    level = _level(account_per_s, [each.demand_per_s for each in usages])
    per_s = min(max(own.demand_per_s, MIN_PART * account_per_s / len(usages)), level)
    return Allocation(per_s / account_per_s, account_per_s, pause_s)


def _level(total: float, demands: Sequence[float]) -> float:
    """Return the bound L for which the demands, each capped at L, add up to the total; the total if they are lower."""
    left = total
    for n, demand in enumerate(sorted(demands)):
        level = left / (len(demands) - n)
        if demand >= level:
            return level
        left -= demand
    return total
