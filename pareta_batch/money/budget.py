"""A ceiling kept by reservation: the most that a request may cost is reserved before it is sent."""

import asyncio
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal
from enum import Enum
from fractions import Fraction

from pareta_batch.money.format import budget_dollars
from pareta_batch.money.prices import NO_PRICES, Prices

MICRO_PER_USD = 1_000_000


def micro_usd(usd: float) -> int:
    """Return a ceiling in whole micro-USD, rounded down."""
    # Through text: 0.0005 is meant as it is written, not as the double nearest to it.
    return int((Decimal(repr(usd)) * MICRO_PER_USD).to_integral_value(ROUND_FLOOR))


class Unavailable(Enum):
    """Why nothing can be reserved: wait for requests in flight to be settled, or there is no room for another."""

    WAIT = "wait"
    EXHAUSTED = "full"


@dataclass(frozen=True)
class Reservation:
    """Micro-USD reserved for one request with a prompt of `prompt_bytes`.

    `priced`: it is a bound from receipts; else no price was known, and it is all that was left.
    `rises`: refuted prices before it.
    """

    micro_usd: int
    prompt_bytes: int
    priced: bool = True
    rises: int = 0


@dataclass
class _InDoubt:
    """Requests in doubt that were reserved at a known price: their number, bytes of prompt, and micro-USD reserved."""

    requests: int = 0
    prompt_bytes: int = 0
    micro_usd: int = 0

    def add(self, reservation: Reservation) -> None:
        self.requests += 1
        self.prompt_bytes += reservation.prompt_bytes
        self.micro_usd += reservation.micro_usd


@dataclass
class Budget:
    """Micro-USD spent and reserved under a ceiling.

    A request in doubt counts with the most it costs. `in_doubt` are those sent while no price was known: until one is,
    they hold all that was left then, `held` micro-USD. A receipt above its reservation refutes the price: the bound
    rises to this receipt, and one request is in flight at a time until a receipt fits its reservation again. So the
    ceiling holds while the service charges a rate per token and the first answer costs no more than the ceiling. When a
    rate rises, the requests in flight at that moment may exceed it.
    """

    ceiling: int
    max_tokens: int
    spent: int = 0
    prices: Prices = NO_PRICES
    in_doubt: int = 0
    in_doubt_bytes: int = 0
    held: int = 0
    _priced: _InDoubt = field(default_factory=_InDoubt)
    _reserved: int = 0
    _in_flight: int = 0
    _rises: int = 0
    _alone: bool = False

    def reserve(self, prompt_bytes: int, *, again: bool = False) -> Reservation | Unavailable:
        """Reserve the most that a request costs; `again`: an earlier request of the same row is in doubt."""
        if self._in_flight and (self._alone or not self.prices.known):
            return Unavailable.WAIT
        bound = self.prices.of_requests(1, prompt_bytes, self.max_tokens)
        if bound is None:
            return self._all_that_is_left(prompt_bytes, again=again)
        if bound <= self.ceiling - self.spent - self._reserved - self.doubt_micro_usd:
            return self._reserve(Reservation(bound, prompt_bytes, rises=self._rises))
        return Unavailable.WAIT if self._in_flight else Unavailable.EXHAUSTED

    def paid(self, reservation: Reservation, billed: int, prompt_tokens: int | None, answer_tokens: int | None) -> None:
        """Replace a reservation by its receipt."""
        self._release(reservation)
        self.spent += billed
        before = self.prices
        self.prices = before.learn(billed, prompt_tokens, answer_tokens)
        bound = self._bound(1, reservation.prompt_bytes)
        if reservation.priced and billed > max(bound, reservation.micro_usd):
            # Without token counts, or with more tokens than its bytes and max_tokens allow.
            self.prices = self.prices.raised(Fraction(billed, max(bound - 1, 1)))
        if before.refuted_by(self.prices):
            self._rises += 1
            self._alone = True
        elif billed and reservation.rises == self._rises:
            self._alone = False

    def not_paid(self, reservation: Reservation) -> None:
        """Release the reservation of a request that was refused or never sent."""
        self._release(reservation)

    def doubtful(self, reservation: Reservation) -> None:
        """Count a request that may have been paid for as if it was."""
        self._release(reservation)
        if reservation.priced:
            self._priced.add(reservation)
        else:
            self.in_doubt += 1
            self.in_doubt_bytes += reservation.prompt_bytes
            self.held = max(0, self.ceiling - self.spent)

    @property
    def doubt_micro_usd(self) -> int:
        """The most that the requests in doubt cost, as far as a price is known."""
        unpriced = self._bound(self.in_doubt, self.in_doubt_bytes)
        # At the price of their time, if it fell since; at today's, if it rose.
        return unpriced + max(self._priced.micro_usd, self._bound(self._priced.requests, self._priced.prompt_bytes))

    @property
    def blocked(self) -> bool:
        """Whether requests in doubt hold all that is left, because no price is known."""
        return self.in_doubt > 0 and not self.prices.known

    def _bound(self, requests: int, prompt_bytes: int) -> int:
        return self.prices.of_requests(requests, prompt_bytes, self.max_tokens) or 0

    def _all_that_is_left(self, prompt_bytes: int, *, again: bool) -> Reservation | Unavailable:
        # The same key is debited once: a row in doubt is asked again within what it holds already.
        room = self.ceiling - self.spent - (0 if again else self.held)
        if room <= 0:
            return Unavailable.EXHAUSTED
        return self._reserve(Reservation(room, prompt_bytes, priced=False, rises=self._rises))

    def _reserve(self, reservation: Reservation) -> Reservation:
        self._reserved += reservation.micro_usd
        self._in_flight += 1
        return reservation

    def _release(self, reservation: Reservation) -> None:
        self._reserved -= reservation.micro_usd
        self._in_flight -= 1


class BudgetGate:
    """Shares out a purse among the rows in flight; without one, everything is granted."""

    def __init__(self, budget: Budget | None) -> None:
        self.budget = budget
        self._changed = asyncio.Event()
        self._closed = False
        self._may_tell: set[str] = set()

    async def reserve(self, prompt_bytes: int, *, again: bool = False) -> Reservation | None:
        """Wait for room; None when there is none left (or it was closed)."""
        if self.budget is None:
            return None if self._closed else Reservation(0, prompt_bytes)
        while not self._closed:
            match self.budget.reserve(prompt_bytes, again=again):
                case Reservation() as reservation:
                    return reservation
                case Unavailable.EXHAUSTED if again or not (self.blocked and self._may_tell):
                    return None
            self._changed.clear()
            await self._changed.wait()
        return None

    def paid(
        self, reservation: Reservation, billed: int | None, prompt_tokens: int | None, answer_tokens: int | None
    ) -> None:
        """Take the receipt; without one (None) the request counts as in doubt."""
        if self.budget is None:
            return
        try:
            if billed is None:
                self.budget.doubtful(reservation)
            else:
                self.budget.paid(reservation, billed, prompt_tokens, answer_tokens)
        finally:
            self._changed.set()

    def not_answered(self, reservation: Reservation, *, in_doubt: bool) -> None:
        """Release the reservation, unless the request may have been paid for."""
        if self.budget is not None:
            (self.budget.doubtful if in_doubt else self.budget.not_paid)(reservation)
            self._changed.set()

    def may_tell(self, key: str) -> None:
        """Note that the row `key` is in doubt and will be asked again: its receipt may tell the price."""
        self._may_tell.add(key)

    def tells_no_more(self, key: str) -> None:
        """Note that the row `key` will not be asked again."""
        if key in self._may_tell:
            self._may_tell.discard(key)
            self._changed.set()

    @property
    def blocked(self) -> bool:
        """Whether requests in doubt hold all that is left, because no price is known."""
        return self.budget is not None and self.budget.blocked

    def why_full(self, budget_usd: float | None) -> str:
        """Return why no row is sent any more."""
        budget = budget_dollars(budget_usd)
        if not self.blocked or self.budget is None:
            return f"the budget of {budget} has no room for a row"
        return (
            f"{self.budget.in_doubt} requests may have been paid before the first receipt, so they may have cost "
            f"all of the budget of {budget}; a pilot of some rows without budget_usd tells the price"
        )

    def close(self) -> None:
        """Grant nothing more."""
        self._closed = True
        self._changed.set()
