"""The budget gate of a member: its ceiling is the allotment that the parent grants, and grows with it."""

from pareta_batch.members.allotments import Demand
from pareta_batch.money import Budget, BudgetGate, Prices, Reservation

WORK_S = 3.0
"""Seconds of spending that a member keeps as surplus; higher survives slower parents, and shares the budget worse."""


class AllottedGate(BudgetGate):
    """A budget gate whose rows wait for the next grant: the parent decides when the budget is reached."""

    def __init__(self, budget: Budget) -> None:
        super().__init__(budget)
        self._allotted = budget
        self._waiting: list[int] = []
        self._bound = 1
        self._read_at: float | None = None
        self._spent = 0
        self._per_s = 0.0

    async def reserve(self, prompt_bytes: int, *, again: bool = False) -> Reservation | None:
        """Wait for a reservation and return it; None once the gate is closed."""
        while not self._closed:
            found = self._allotted.reserve(prompt_bytes, again=again)
            if isinstance(found, Reservation):
                return found
            bound = self._allotted.prices.of_requests(1, prompt_bytes, self._allotted.max_tokens)
            self._waiting.append(waits := bound or 1)
            self._bound = waits
            self._changed.clear()
            try:
                await self._changed.wait()
            finally:
                self._waiting.remove(waits)
        return None

    @property
    def used(self) -> int:
        """Micro-USD of the allotment that are spent, reserved or in doubt."""
        return self._allotted.used

    @property
    def waits(self) -> bool:
        """Whether a request waits for budget."""
        return bool(self._waiting)

    @property
    def prices(self) -> Prices:
        """The price bounds that this member knows."""
        return self._allotted.prices

    def demand(self, in_flight: int, now: float) -> tuple[Demand, int]:
        """Return the demand for `in_flight` calls at once, and the micro-USD that are taken from the allotment."""
        budget = self._allotted
        if self._read_at is not None and now > self._read_at:
            self._per_s = (self._per_s + (budget.spent - self._spent) / (now - self._read_at)) / 2
        self._read_at, self._spent = now, budget.spent
        target = max(round(WORK_S * self._per_s), in_flight * self._bound)
        demand = Demand(budget.used, target, min(self._waiting, default=0), idle=budget.is_idle)
        returned = demand.returned(budget.ceiling)
        budget.ceiling -= returned
        return demand, returned

    def grant(self, granted: int, prices: Prices, doubt: tuple[int, int, int]) -> None:
        """Set the allotment, and learn the prices that other members know.

        `doubt`: requests, prompt bytes and micro-USD in doubt from before the run, at an unknown price. The member that
        gets the whole free budget repeats them.
        """
        budget = self._allotted
        budget.prices = budget.prices.merged(prices)
        if granted and not budget.prices.known and not budget.in_doubt:
            budget.in_doubt, budget.in_doubt_bytes, budget.held = doubt
        budget.ceiling = granted
        self._changed.set()
