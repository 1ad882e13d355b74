"""The limits of one account, shared by several limiters that report their usage to each other. Pure.

Each limiter reports its `Usage` about once a second and receives its `Allocation`. The exchange is the caller's: rows
in the ledger, or a parent process.

    R = mean of the account rates that the limiters learned
    allocated rate = min(demand, level), where the level is chosen so that these rates add up to R   (max-min fairness)

A bucket of few tokens refuses calls of two limiters that are less than 1/R apart. Limiters that collide so take turns
on a common clock: in its turn a limiter has the rate R, outside it starts no call. The lengths of the turns have the
ratio of the allocated rates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf, log
from statistics import fmean

MIN_PART = 0.1
"""Lower bound of a part, as a share of an equal one; higher lets an idle run start faster, and wastes more."""
MIN_LOAD = 0.5
"""Demand of all runs from which they take turns, as a share of R; higher has fewer turns, and more refused calls."""
MIN_TURN_S, MIN_TURN_CALLS = 1.0, 15
"""Mean turn: at least these seconds and calls; higher loses fewer calls between turns, and each run waits longer."""
MIN_CALLS = 3.0
"""Calls of the shortest turn, of which its beginning loses one; higher lets an idle run start faster, wasting more."""
TURN_FACTOR = 4
"""Ratio of two lengths of a turn; higher changes the length less often, at which runs collide."""
SEARCH_TURN_S = 2.0
"""Seconds of a turn while R is unknown; higher lets each limiter search longer, and wait longer."""


@dataclass(frozen=True)
class Usage:
    """The report of one limiter to the others of its account.

    Args:
        started: calls started so far.
        refused: refused calls that show a collision with other limiters; above 0, all of the account take turns.
        pause_s: seconds that are left of the pause after its own refusals.
        account_per_s: learned rate of the whole account in calls per second; None while it is unknown.
        demand_per_s: calls per second that it can use; infinite while its allocation bounds it.
        run: identity of its run, which orders the turns.
    """

    started: int
    refused: int
    pause_s: float = 0.0
    account_per_s: float | None = None
    demand_per_s: float = inf
    run: str = ""


@dataclass(frozen=True)
class Turn:
    """The times in which a limiter starts calls: `length_s` seconds from `at`, and again every `cycle_s` seconds.

    `at` is on the clock of the limiter.
    """

    at: float
    length_s: float
    cycle_s: float

    def since_s(self, now: float) -> float:
        """Return the seconds since the latest turn began."""
        return (now - self.at) % self.cycle_s

    def within_s(self, first: float, last: float) -> float:
        """Return the seconds of turns between two times."""
        since_first, since_last = self.since_s(first), self.since_s(last)
        cycles = round((last - since_last - first + since_first) / self.cycle_s)
        return cycles * self.length_s + min(since_last, self.length_s) - min(since_first, self.length_s)


@dataclass(frozen=True)
class Allocation:
    """The part of one limiter in the limits of its account.

    Args:
        part: its part of the account's rate, above 0 and at most 1; 1 for the whole rate in its turns.
        account_per_s: calls per second of the whole account; None while it is unknown.
        pause_s: seconds from now in which no limiter of the account starts a call.
        turn: the times in which it starts calls; None for any time.
    """

    part: float = 1.0
    account_per_s: float | None = None
    pause_s: float = 0.0
    turn: Turn | None = None


def allocation_of(own: Usage, others: Sequence[Usage], clock_s: float = 0.0) -> Allocation:
    """Return the allocation of the limiter that reports `own`, beside the `others` of its account.

    `clock_s`: seconds by which the common clock is ahead of the clock of this limiter.
    """
    usages = sorted([own, *others], key=lambda each: each.run)
    pause_s = max((each.pause_s for each in others), default=0.0)
    known = [each.account_per_s for each in usages if each.account_per_s is not None]
    account_per_s = fmean(known) if known else None
    demands = [each.demand_per_s for each in usages]
    n = usages.index(own)
    # Runs that together need little are bounded by their calls in flight: turns would only delay them.
    takes_turns = others and any(each.refused for each in usages) and sum(demands) >= MIN_LOAD * (account_per_s or 0.0)
    if not takes_turns:
        return Allocation(_parts(account_per_s, demands, MIN_PART)[n], account_per_s, pause_s)
    turn_s = _turn_s(account_per_s)
    parts = _parts(account_per_s, demands, max(MIN_PART, MIN_CALLS / (turn_s * (account_per_s or inf))))
    cycle_s = len(usages) * turn_s
    first_s = cycle_s * sum(parts[:n]) / sum(parts)
    turn = Turn(first_s - clock_s, cycle_s * parts[n] / sum(parts), cycle_s)
    return Allocation(1.0, account_per_s, pause_s, turn)


def _turn_s(account_per_s: float | None) -> float:
    """Return the mean seconds of a turn: one of few values, because the limiters' values of R differ a little."""
    if account_per_s is None:
        return SEARCH_TURN_S
    missing = log(MIN_TURN_CALLS / (MIN_TURN_S * account_per_s), TURN_FACTOR)
    return float(MIN_TURN_S * TURN_FACTOR ** max(ceil(missing), 0))


def _parts(account_per_s: float | None, demands: Sequence[float], least_share: float) -> list[float]:
    if account_per_s is None:
        return [1 / len(demands)] * len(demands)
    level, least = _level(account_per_s, demands), least_share * account_per_s / len(demands)
    return [min(max(demand, least), level) / account_per_s for demand in demands]


def _level(total: float, demands: Sequence[float]) -> float:
    """Return the bound L for which the demands, each capped at L, add up to the total; the total if they are lower."""
    left = total
    for n, demand in enumerate(sorted(demands)):
        level = left / (len(demands) - n)
        if demand >= level:
            return level
        left -= demand
    return total
