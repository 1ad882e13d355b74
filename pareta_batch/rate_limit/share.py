"""The share of one limiter in the limits of its account: its part of the rate, or its turns, and its demand. Pure."""

from dataclasses import dataclass, replace
from math import inf

from pareta_batch.rate_limit.account import Allocation, Turn, Usage
from pareta_batch.rate_limit.rate import Rate

MIN_USED_SHARE = 0.8
"""Used part of an allocated rate from which the demand counts as unlimited; higher leaves more to other runs."""
DEMAND_FACTOR = 1.25
"""Factor on the used rate that stays reserved for a run; higher lets it grow faster and leaves more unused."""
MAX_COLLISIONS, COLLISIONS_PER_CALL, COLLISIONS_PER_PAUSE = 5.0, 0.05, 0.2
"""Refusals beside others that exceed a share of the calls, and of the time in lengths of the last pause, from which
turns begin; higher begins them later."""
TURNS_BEGIN_S = 1.2
"""Pause in seconds when turns begin, until all limiters know of them; higher tolerates slower reports."""
OLD_REPORTS_S = 2 * TURNS_BEGIN_S
"""Seconds from then on in which reports may be older, with rates that collisions lowered; higher adopts R later."""
TURN_GUARD_S = 0.002
"""Seconds without a call at the beginning of a turn, beside a call interval; higher tolerates worse clocks."""


@dataclass(frozen=True)
class Entry:
    """The entry into a turn, after `out_s` seconds out of turn; no call starts before the time `earliest`."""

    out_s: float
    earliest: float


class Share:
    """The part of one limiter in its account's rate, and its turns if the calls of the limiters collide."""

    def __init__(self) -> None:
        self.part = self.part_of_rate = 1.0  # `part_of_rate`: the last part that was applied to a known rate
        self.turn: Turn | None = None
        self.is_alone = True
        self._meter = DemandMeter()
        self._reported_per_s: float | None = None
        self._was_known = False
        self._collisions, self._started_at = 0.0, -inf
        self._longest_call_s: float | None = None
        self.searches_until = -inf  # until then, the account's rate may be one that collisions lowered
        self._left_at: float | None = None  # the time at which the last turn was seen to be over

    @property
    def time(self) -> float:
        """The part of the time in which calls may start."""
        return self.turn.length_s / self.turn.cycle_s if self.turn else 1.0

    def started(self, now: float, pause_s: float) -> None:
        """Count a call that starts; `pause_s` is the last pause after a refusal."""
        self._meter.started += 1
        allowed = min(COLLISIONS_PER_CALL, COLLISIONS_PER_PAUSE * (now - self._started_at) / max(pause_s, 1e-3))
        self._collisions = max(self._collisions - allowed, 0.0)
        self._started_at = now

    def answered(self, call_s: float) -> None:
        """Count an answer that took `call_s` seconds."""
        self._longest_call_s = max(self._longest_call_s or 0.0, call_s)

    def refused(self, *, knows_rate: bool, too_short_s: float) -> None:
        """Count a burst of refusals; beside others, it may be a collision with their calls.

        Args:
            knows_rate: whether the calls started at a known rate.
            too_short_s: seconds of the pause after which the first call was refused; 0 for another call. If no call
                took that long, none was in flight any more: the calls of others took the tokens.
        """
        is_taken = self._longest_call_s is not None and self._longest_call_s < too_short_s
        self._collisions += self.part < 1 and (knows_rate or is_taken)

    def usage(self, own: Usage, now: float, rate: Rate, *, in_use: bool, paused_until: float) -> Usage:
        """Return the report to the other limiters.

        Args:
            own: refusals, pause and told rate.
            now: seconds.
            rate: the learned rate.
            in_use: whether the rate bounds the calls.
            paused_until: end of the latest pause in seconds.
        """
        # A rate that is learned beside others is wrong: their calls take tokens.
        learned_beside = rate.resting and not self._was_known and self.part < 1
        collides = self.turn is not None or learned_beside or self._collisions >= MAX_COLLISIONS
        self._reported_per_s = rate.per_s if rate.resting and self._was_known and in_use else None
        self._was_known = rate.resting
        # A told limit bounds the calls, so the rate rises above it without a refusal.
        told_per_s = own.account_per_s or inf
        learned_per_s = self._reported_per_s / self.part if self._reported_per_s else inf
        known_per_s = min(learned_per_s, told_per_s)
        return replace(
            own,
            started=self._meter.started,
            refused=own.refused if collides else 0,
            account_per_s=known_per_s if known_per_s < inf else None,
            demand_per_s=self._meter.demand_per_s(now, min(rate.per_s, told_per_s), paused_until, self.turn),
        )

    def allocated_per_s(self, allocation: Allocation, rests_at: float | None) -> float | None:
        """Set the part, and return the rate in calls per second; None while the account's rate is unknown.

        `rests_at`: the present rate, if it is a learned one.
        """
        if allocation.part < self.part == 1 and self._reported_per_s is None:
            self._was_known = False  # the others may have been there when it was learned
        self.part = allocation.part
        if allocation.account_per_s is None:
            return None
        self._was_known, self.part_of_rate = True, allocation.part
        # Steps since the report were not known to the others: they stay.
        steps = rests_at / self._reported_per_s if rests_at and self._reported_per_s else 1.0
        return allocation.part * allocation.account_per_s * steps

    def take_turns(self, allocation: Allocation, now: float) -> float:
        """Set or end the turns; return the seconds of the pause before they begin."""
        turn = allocation.turn
        self.is_alone = turn is None and allocation.part == 1
        begins, ends = turn is not None and self.turn is None, turn is None and self.turn is not None
        self.turn = turn
        if ends:
            self._collisions = 0.0
        if begins:
            # What was learned until now may be due to collisions.
            self.part, self._reported_per_s, self._was_known, self._left_at = 1.0, None, False, now
        return TURNS_BEGIN_S if begins else 0.0

    def wait(self, now: float) -> float:
        """Return the seconds until the next turn; 0 in a turn, and without turns."""
        if self.turn is None or (since_s := self.turn.since_s(now)) < self.turn.length_s:
            return 0.0
        self._left_at = now if self._left_at is None else self._left_at
        return max(self.turn.cycle_s - since_s, 1e-6)

    def entered(self, now: float) -> Entry | None:
        """Return the entry into a turn that is new since the last call."""
        if self._left_at is None:
            return None
        out_s, self._left_at = now - self._left_at, None
        self._meter.lost += self.turn is not None
        return Entry(out_s, now - self.turn.since_s(now) + TURN_GUARD_S if self.turn else now)


class DemandMeter:
    """The calls per second that a limiter can use, measured between two reports."""

    def __init__(self) -> None:
        self.started = 0
        self.lost = 0  # calls for which the beginnings of turns had no time
        self._reported = 0
        self._reported_at = -inf
        self._demand_per_s = inf

    def demand_per_s(self, now: float, per_s: float, paused_until: float, turn: Turn | None) -> float:
        """Return the demand since the last report, and begin the next measurement.

        Args:
            now: seconds.
            per_s: calls per second that were allowed.
            paused_until: end of the latest pause in seconds; a pause is no lack of demand.
            turn: the turns in which calls were allowed; a measurement takes at least half of one.
        """
        allowed_s, part = now - self._reported_at, 1.0
        if turn is not None and self._reported_at > -inf:
            allowed_s, part = turn.within_s(self._reported_at, now), turn.length_s / turn.cycle_s
            if allowed_s < turn.length_s / 2:
                return self._demand_per_s
        used = self.started + self.lost - self._reported
        used_per_s = used / max(allowed_s, 1e-3)
        bounded = paused_until > self._reported_at or used_per_s >= MIN_USED_SHARE * per_s
        self._reported_at, self._reported = now, self.started + self.lost
        self._demand_per_s = inf if bounded else DEMAND_FACTOR * used_per_s * part
        return self._demand_per_s
