"""Budget enforcement by reservation: the upper bound of a request's cost is reserved before it is sent."""

import asyncio
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal
from enum import Enum
from fractions import Fraction

from pareta_batch.money.format import budget_dollars
from pareta_batch.money.prices import NO_PRICES, Prices
from pareta_batch.plurals import quantity

MICRO_PER_USD = 1_000_000


def micro_usd(usd: float) -> int:
    """Return an amount in whole micro-USD, rounded down."""
    # Through text: 0.0005 means its decimal value, not the nearest double.
    return int((Decimal(repr(usd)) * MICRO_PER_USD).to_integral_value(ROUND_FLOOR))


class Unavailable(Enum):
    """The reason for a refused reservation: `WAIT` for requests in flight to settle, or the budget is `EXHAUSTED`."""

    WAIT = "wait"
    EXHAUSTED = "full"


@dataclass(frozen=True)
class Reservation:
    """Micro-USD reserved for one request with a prompt of `prompt_bytes`.

    `priced`: whether it is a bound from receipts; without a known price, it is the whole remaining budget.
    `rises`: number of price bounds that were refuted before it.
    """

    micro_usd: int
    prompt_bytes: int
    priced: bool = True
    rises: int = 0


@dataclass
class _InDoubt:
    """Requests in doubt that were reserved at a known price: count, prompt bytes, and reserved micro-USD."""

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

    A request in doubt counts with its upper bound. `in_doubt` counts those that were sent while no price was known.
    Until a price is known, they reserve the whole remaining budget at that time, `held` micro-USD.

    A receipt above its reservation refutes the price bound. The bound rises to this receipt, and only one request is
    in flight until a receipt fits its reservation again. The ceiling holds under two conditions: the service charges
    a rate per token, and the first answer costs no more than the ceiling. When a rate rises, the requests that are in
    flight may exceed the ceiling.
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
        """Reserve the upper bound of a request's cost; `again`: an earlier request of the same row is in doubt."""
        if self._in_flight and (self._alone or not self.prices.known):
            return Unavailable.WAIT
        bound = self.prices.of_requests(1, prompt_bytes, self.max_tokens)
        if bound is None:
            return self._reserve_remainder(prompt_bytes, again=again)
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
            # The receipt has no token counts, or more tokens than its prompt bytes and max_tokens allow.
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
        """Count a request in doubt as paid at its upper bound."""
        self._release(reservation)
        if reservation.priced:
            self._priced.add(reservation)
        else:
            self.in_doubt += 1
            self.in_doubt_bytes += reservation.prompt_bytes
            self.held = max(0, self.ceiling - self.spent)

    @property
    def doubt_micro_usd(self) -> int:
        """Upper bound of the cost of the requests in doubt; 0 while no price is known."""
        unpriced = self._bound(self.in_doubt, self.in_doubt_bytes)
        # The higher of two prices: that of their reservation, and the current one.
        return unpriced + max(self._priced.micro_usd, self._bound(self._priced.requests, self._priced.prompt_bytes))

    @property
    def used(self) -> int:
        """Micro-USD spent, reserved, and in doubt at their upper bound."""
        return self.spent + self._reserved + (self.held if self.blocked else self.doubt_micro_usd)

    @property
    def is_idle(self) -> bool:
        """Whether no request is in flight."""
        return not self._in_flight

    @property
    def blocked(self) -> bool:
        """Whether requests in doubt reserve the whole remaining budget, because no price is known."""
        return self.in_doubt > 0 and not self.prices.known

    @property
    def left_micro_usd(self) -> int:
        """Budget without the receipts and the bounds of the requests in doubt."""
        return max(0, self.ceiling - self.spent - (self.doubt_micro_usd if self.prices.known else self.held))

    def _bound(self, requests: int, prompt_bytes: int) -> int:
        return self.prices.of_requests(requests, prompt_bytes, self.max_tokens) or 0

    def _reserve_remainder(self, prompt_bytes: int, *, again: bool) -> Reservation | Unavailable:
        # The same key is debited once: repeating a row in doubt is covered by its reservation.
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
    """An asyncio gate that rows pass with a reservation; without a budget, every request passes."""

    def __init__(self, budget: Budget | None) -> None:
        self.budget = budget
        self._changed = asyncio.Event()
        self._closed = False
        self._price_sources: set[str] = set()

    async def reserve(self, prompt_bytes: int, *, again: bool = False) -> Reservation | None:
        """Wait for a reservation and return it; None if the budget is exhausted or the gate is closed."""
        if self.budget is None:
            return None if self._closed else Reservation(0, prompt_bytes)
        while not self._closed:
            match self.budget.reserve(prompt_bytes, again=again):
                case Reservation() as reservation:
                    return reservation
                case Unavailable.EXHAUSTED if again or not (self.blocked and self._price_sources):
                    return None
            self._changed.clear()
            await self._changed.wait()
        return None

    def paid(
        self, reservation: Reservation, billed: int | None, prompt_tokens: int | None, answer_tokens: int | None
    ) -> None:
        """Replace the reservation by its receipt; without a receipt (None) the request counts as in doubt."""
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

    def add_price_source(self, key: str) -> None:
        """Add a row in doubt that will be sent again: its receipt may reveal the price."""
        self._price_sources.add(key)

    def withdraw_price_source(self, key: str) -> None:
        """Withdraw a row that will not be sent again."""
        if key in self._price_sources:
            self._price_sources.discard(key)
            self._changed.set()

    @property
    def blocked(self) -> bool:
        """Whether requests in doubt reserve the whole remaining budget, because no price is known."""
        return self.budget is not None and self.budget.blocked

    def left_micro_usd(self) -> int | None:
        """Return the remaining budget; None without a budget."""
        return None if self.budget is None else self.budget.left_micro_usd

    def exhausted_reason(self, budget_usd: float | None) -> str:
        """Return the message for an exhausted budget."""
        budget = budget_dollars(budget_usd)
        if not self.blocked or self.budget is None:
            return f"the budget of {budget} has no room for a row"
        return (
            f"{quantity(self.budget.in_doubt, 'request')} in doubt, from before any receipt revealed a price, may have "
            f"cost the whole budget of {budget}; send a pilot of some rows without budget_usd to learn the price"
        )

    def close(self) -> None:
        """Refuse all further reservations."""
        self._closed = True
        self._changed.set()
