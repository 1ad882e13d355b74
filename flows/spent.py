"""What a run spent of its budget, as its report has it."""

from pydantic import BaseModel, ConfigDict, Field

from pareta_batch import Spending, budget_dollars, dollars


class Spent(BaseModel):
    """What all runs under one budget spent together; money in micro-USD."""

    model_config = ConfigDict(frozen=True)

    budget_usd: float | None
    spent_micro_usd: int = Field(description="Bills, and the most that purchases without a bill can cost")
    overspent_micro_usd: int | None = Field(description="How much that is above the budget; None without one")
    dearer: tuple[str, ...] = Field((), description="Purchases that cost more than the most that was expected")

    def __str__(self) -> str:
        notes = list(self.dearer)
        if self.overspent_micro_usd:
            notes.append(f"{dollars(self.overspent_micro_usd)} above the budget of {budget_dollars(self.budget_usd)}")
        return "; ".join(notes)


def spent_of(spending: Spending, budget_usd: float | None) -> Spent:
    """Return what was spent, against a budget."""
    return Spent(
        budget_usd=budget_usd,
        spent_micro_usd=spending.micro_usd,
        overspent_micro_usd=spending.above(budget_usd),
        dearer=tuple(spending.dearer),
    )
