"""A named budget, shared by all runs that use its name."""

from dataclasses import dataclass

from pareta_batch.owner_tags import NO_TAGS, Tags


@dataclass(frozen=True)
class Account:
    """A named budget and its owner; `budget_usd` is its ceiling in dollars, None for purchases without a limit."""

    name: str
    budget_usd: float | None = None
    tags: Tags = NO_TAGS


NO_ACCOUNT = Account("none")
