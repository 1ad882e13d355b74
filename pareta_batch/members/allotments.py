"""Allotments of the budget: the micro-USD that each member may spend, granted by the parent. Pure.

Invariant: spent before the run + the sum of the grants never exceeds the ceiling. A member's grant covers its receipts,
its reservations and the bounds of its requests in doubt, so the budget holds without a question per request.

Grant = min(demand, max(free / (2 × members), bound of the waiting request)). So the grants shrink with it, and
members return what they cannot use. The budget is reached under two conditions. Every member is idle and has returned
its surplus, and the free budget is below the bound of each waiting request. So less than one bound is left over.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Demand:
    """The use and the need of a member, in micro-USD.

    `used`: receipts, reservations and bounds in doubt. `target`: the surplus that it works with. `needs`: the bound of
    a request that waits for budget; 0 without one. `idle`: it has no reservation in flight.
    """

    used: int = 0
    target: int = 0
    needs: int = 0
    idle: bool = False

    def returned(self, granted: int) -> int:
        """Return the part of the grant that the member returns: all it cannot use, once that is worth a message."""
        surplus = granted - self.used
        if self.idle:
            return max(0, surplus) if surplus < self.needs or not self.needs else 0
        keep = max(self.target, self.needs)
        return surplus - keep if surplus > 2 * keep else 0


@dataclass(frozen=True)
class Allotment:
    """The grant of a member and its last demand; None before the first."""

    granted: int = 0
    demand: Demand | None = None

    @property
    def surplus(self) -> int:
        """Granted micro-USD that the member has not used, as far as it told."""
        return self.granted - (self.demand.used if self.demand else 0)


def next_grants(free: int, members: Mapping[str, Allotment], *, priced: bool) -> dict[str, int]:
    """Return the additional grant of each member that gets one; while no price is known, one member gets all."""
    asking = {token: each for token, each in members.items() if each.demand is not None and each.demand.needs}
    if not priced:
        alone = next(iter(sorted(asking)), None)
        held = any(each.surplus for each in members.values())
        return {} if held or alone is None or free <= 0 else {alone: free}
    grants = {}
    # Those that wait for budget come first, and of these the smallest need.
    for token in sorted(members, key=lambda token: _urgency(members[token], token)):
        given = _grant(free, members[token], len(members))
        if given > 0:
            grants[token] = given
            free -= given
    return grants


def is_reached(free: int, members: Mapping[str, Allotment], *, priced: bool) -> bool:
    """Return whether no waiting request fits into the free budget, and nothing more will be returned to it."""
    demands = [each.demand for each in members.values()]
    needs = [demand.needs for demand in demands if demand is not None and demand.needs]
    if not needs or any(demand is None or not demand.idle for demand in demands):
        return False
    if any(each.surplus for each in members.values()):
        return False
    return free < min(needs) if priced else free <= 0


def _urgency(member: Allotment, token: str) -> tuple[bool, int, str]:
    needs = member.demand.needs if member.demand else 0
    return (needs <= max(0, member.surplus), needs, token)


def _grant(free: int, member: Allotment, members: int) -> int:
    demand, surplus = member.demand, member.surplus
    if demand is None or (demand.idle and (not demand.needs or 0 < surplus < demand.needs)):
        return 0  # it returns its surplus at its next exchange: an addition would go back with it
    wanted = max(demand.target, demand.needs) - surplus
    lacking = demand.needs - surplus
    given = min(wanted, max(free // (2 * members), lacking), free)
    return 0 if given < lacking else given
