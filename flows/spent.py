"""Spending against a budget, for reports."""

from pydantic import Field

from pareta_batch import Frozen, Spending, budget_dollars, dollars


class Spent(Frozen):
    """Spending of all runs under one budget, in micro-USD."""

    budget_usd: float | None
    spent_micro_usd: int = Field(description="Bills, plus the maximum cost of purchases without a bill")
    this_run_micro_usd: int = Field(0, description="Increase since the start of the run that made the report")
    overspent_micro_usd: int | None = Field(description="Amount above the budget; None without a budget")
    dearer: tuple[str, ...] = Field((), description="Purchases whose bill exceeds their expected maximum cost")

    def __str__(self) -> str:
        notes = list(self.dearer)
        if self.overspent_micro_usd:
            notes.append(f"{dollars(self.overspent_micro_usd)} above the budget of {budget_dollars(self.budget_usd)}")
        return "; ".join(notes)


def spent_of(spending: Spending, budget_usd: float | None, before: Spending) -> Spent:
    """Return the spending against a budget.

    Args:
        before: Spending at the start of the run.
    """
    return Spent(
        budget_usd=budget_usd,
        spent_micro_usd=spending.micro_usd,
        # A bill that replaces a higher bound of an earlier run lowers the spending.
        this_run_micro_usd=max(0, spending.micro_usd - before.micro_usd),
        overspent_micro_usd=spending.above(budget_usd),
        dearer=tuple(spending.dearer),
    )
