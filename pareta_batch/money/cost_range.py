"""The expected cost of work before it is sent, with its range: one form for batches, comparisons and pipelines."""

from dataclasses import dataclass
from math import ceil

from pydantic import Field, computed_field

from pareta_batch.money.format import dollars
from pareta_batch.spec_base import Frozen

LEADERBOARD_RANGE = 3.0
"""Quoted range from the leaderboard: its cost divided and multiplied by this. Higher quotes a wider range."""


@dataclass(frozen=True, slots=True)
class CostRange:
    """An expected cost with its range, in whole micro-USD."""

    low: int
    likely: int
    high: int

    @classmethod
    def rounded(cls, low: float, likely: float, high: float) -> "CostRange":
        """Return a range of whole micro-USD that contains this one; its low end is never below zero."""
        return cls(max(0, int(low)), round(likely), ceil(high))

    @classmethod
    def from_leaderboard(cls, likely: float) -> "CostRange":
        """Return the range of a cost from the leaderboard, an order of magnitude."""
        return cls.rounded(likely / LEADERBOARD_RANGE, likely, likely * LEADERBOARD_RANGE)

    def __add__(self, other: "CostRange") -> "CostRange":
        return CostRange(self.low + other.low, self.likely + other.likely, self.high + other.high)

    def described(self, basis: str | None = None) -> str:
        """Return the range in dollars; `basis` names its source."""
        source = f", from {basis}" if basis else ""
        return f"about {dollars(self.likely)} ({dollars(self.low)} to {dollars(self.high)}{source})"

    def __str__(self) -> str:
        return self.described()


class CostQuote(Frozen):
    """Base of quotes with one cost range; JSON has its ends in micro-USD, None if the cost is unknown."""

    cost: CostRange | None = Field(None, exclude=True)

    @computed_field  # type: ignore[prop-decorator]  # the order that pydantic requires
    @property
    def low_micro_usd(self) -> int | None:
        """Lower bound."""
        return None if self.cost is None else self.cost.low

    @computed_field  # type: ignore[prop-decorator]
    @property
    def likely_micro_usd(self) -> int | None:
        """Likely cost."""
        return None if self.cost is None else self.cost.likely

    @computed_field  # type: ignore[prop-decorator]
    @property
    def high_micro_usd(self) -> int | None:
        """Upper bound."""
        return None if self.cost is None else self.cost.high
