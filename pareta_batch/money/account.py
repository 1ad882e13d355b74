"""A named budget, shared by all runs that use its name."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Account:
    """A named budget; `budget_usd` is its ceiling in dollars, None to record purchases without a limit."""

    name: str
    budget_usd: float | None = None


NO_ACCOUNT = Account("none")
