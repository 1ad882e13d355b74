"""The name of a budget and its ceiling: what all runs, processes and days that name it share."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Account:
    """A budget by its name; `budget_usd` is its ceiling in dollars, None where purchases are only kept."""

    name: str
    budget_usd: float | None = None


NO_ACCOUNT = Account("none")
