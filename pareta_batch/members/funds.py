"""The budget of a run with members, as its parent shares it out. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from pareta_batch.members.allotments import Allotment, is_reached, next_grants
from pareta_batch.money import NO_PRICES, Budget, Prices


@dataclass
class Funds:
    """The ceiling, the spending before the run, and the price bounds that all members together know.

    `doubt`: requests, prompt bytes and micro-USD in doubt from before the run at an unknown price.
    """

    ceiling: int
    spent_before: int
    prices: Prices
    doubt: tuple[int, int, int] = (0, 0, 0)

    @classmethod
    def of(cls, budget: Budget) -> "Funds":
        """Return the funds at the start of a run."""
        if budget.blocked:
            doubt = (budget.in_doubt, budget.in_doubt_bytes, budget.held)
            return cls(budget.ceiling, budget.spent, budget.prices, doubt)
        return cls(budget.ceiling, budget.spent + budget.doubt_micro_usd, budget.prices)

    def left(self, spent_micro_usd: int) -> int | None:
        """Return the budget without these receipts of the run; None without a ceiling."""
        return None if self is NO_FUNDS else max(0, self.ceiling - self.spent_before - spent_micro_usd)

    def learn(self, prices: Sequence[Prices]) -> None:
        """Merge the price bounds that members know."""
        for each in prices:
            self.prices = self.prices.merged(each)

    def free(self, granted: int) -> int:
        """Return the micro-USD that are not granted, of which `granted` is the sum over all members of the run."""
        return self.ceiling - self.spent_before - granted

    def grants(self, granted: int, living: Mapping[str, Allotment]) -> dict[str, int]:
        """Return the additional grants of living members."""
        return next_grants(self.free(granted), living, priced=self.prices.known)

    def is_reached(self, granted: int, living: Mapping[str, Allotment]) -> bool:
        """Return whether the budget has no room for any waiting request."""
        return is_reached(self.free(granted), living, priced=self.prices.known)

    def kept_of_dead(self, granted: int, billed: int, requests: int, prompt_bytes: int, max_tokens: int) -> int:
        """Return the part of a dead member's grant that stays used: its receipts and the bound of its doubts."""
        bound = self.prices.of_requests(requests, prompt_bytes, max_tokens) if requests else 0
        if bound is None or self.doubt[0]:
            return granted
        return min(granted, billed + bound)


NO_FUNDS = Funds(0, 0, NO_PRICES)
"""The funds of a run without a ceiling: no member asks for budget."""


def prices_json(prices: Prices) -> dict[str, Any]:  # JSON
    """Return price bounds as JSON; fractions are texts."""
    texts = {name: str(value) for name in _FRACTIONS if (value := getattr(prices, name)) is not None}
    return {**texts, **{name: getattr(prices, name) for name in _NUMBERS}}


def prices_from(stored: Mapping[str, Any]) -> Prices:  # JSON
    """Return price bounds from JSON."""
    prompt, completion, rise = (Fraction(stored[name]) if name in stored else None for name in _FRACTIONS)
    least, most = (int(stored.get(name, 0)) for name in _NUMBERS)
    return Prices(prompt, completion, least, most, rise)


_FRACTIONS = ("prompt", "completion", "rise")
_NUMBERS = ("least_prompt_tokens", "most_completion_tokens")
