"""What a batch spent above its budget at most, and why."""

from pareta_batch.ledger import Tally
from pareta_batch.money.budget import micro_usd
from pareta_batch.money.format import budget_dollars, dollars
from pareta_batch.spec import Batch


def overspent_micro_usd(batch: Batch, tally: Tally) -> int | None:
    """Return the micro-USD above the budget at most; None without a budget.

    Requests in doubt count with their bound. While no price is known they hold what is left, and no more.
    """
    return None if batch.budget_usd is None else max(0, spent_micro_usd(batch, tally) - micro_usd(batch.budget_usd))


def spent_micro_usd(batch: Batch, tally: Tally) -> int:
    """Return the micro-USD that all runs of a batch spent at most, as far as a price is known."""
    doubtful = tally.prices.of_requests(tally.doubtful, tally.doubtful_bytes, batch.sampling.most_tokens) or 0
    receipts = (tally.billed_micro_usd or 0) + tally.superseded_micro_usd
    return receipts + (tally.replayed_at_most_micro_usd or 0) + (doubtful if tally.doubtful else 0)


def holds_all(tally: Tally) -> bool:
    """Check whether requests that may have been paid, at no known price, hold all that is left of a budget."""
    return not tally.prices.known and tally.doubtful + tally.replayed > 0


def money_notes(budget_usd: float | None, overspent: int | None, rise: float | None) -> list[str]:
    """Return what a report says of a price that rose and of a budget that was exceeded."""
    notes = []
    if rise is not None:
        notes.append(f"the price changed: the dearest receipt is {rise:.3g} times what the cheapest ones allow")
    if overspent:
        why = (
            "the requests in flight when the price changed were reserved at the old price"
            if rise is not None
            else "the first answer, sent before any price was known, was dearer than what was left"
        )
        notes.append(f"{dollars(overspent)} at most above the budget of {budget_dollars(budget_usd)}: {why}")
    return notes
