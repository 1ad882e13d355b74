"""Prices in integer micro-USD (1,000,000 = $1)."""

from dataclasses import dataclass
from math import ceil

MICRO_PER_USD = 1_000_000


@dataclass(frozen=True, slots=True)
class Rates:
    """Unit prices in micro-USD per 1,000 tokens."""

    prompt: int
    completion: int

    def price(self, prompt_tokens: int, completion_tokens: int) -> int:
        """Return the price of one completion in micro-USD, rounded up, at least 1."""
        per_thousand = prompt_tokens * self.prompt + completion_tokens * self.completion
        return max(1, -(-per_thousand // 1000))


def multiply(price: int, factor: float) -> int:
    """Return a price times a factor, rounded up."""
    return price if factor == 1 else ceil(price * factor)


def tokens(text: str) -> int:
    """Estimate the number of tokens: four characters each, at least one token."""
    return max(1, -(-len(text) // 4))


def dollars(micro_usd: int) -> str:
    """Format an exact amount for people, as in `$0.000412`."""
    sign, size = ("-", -micro_usd) if micro_usd < 0 else ("", micro_usd)
    return f"{sign}${size // MICRO_PER_USD}.{size % MICRO_PER_USD:06d}"
