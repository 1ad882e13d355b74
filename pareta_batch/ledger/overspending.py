"""Upper bounds of a batch's spending, and of the part above its budget."""

from pareta_batch.ledger.outcomes import Tally
from pareta_batch.money import micro_usd
from pareta_batch.spec import Batch


def overspent_micro_usd(batch: Batch, tally: Tally) -> int | None:
    """Return the upper bound of the micro-USD above the budget; None without a budget.

    Requests in doubt count with their upper bound; while no price is known, with the remaining budget.
    """
    return None if batch.budget_usd is None else max(0, spent_micro_usd(batch, tally) - micro_usd(batch.budget_usd))


def spent_micro_usd(batch: Batch, tally: Tally) -> int:
    """Return the upper bound of the micro-USD that all runs of a batch spent; without a price, the receipts."""
    doubtful = tally.prices.of_requests(tally.doubtful, tally.doubtful_bytes, batch.sampling.most_tokens) or 0
    receipts = (tally.billed_micro_usd or 0) + tally.superseded_micro_usd
    return receipts + (tally.replayed_at_most_micro_usd or 0) + (doubtful if tally.doubtful else 0)


def holds_all(tally: Tally) -> bool:
    """Return whether requests in doubt at an unknown price reserve the whole remaining budget."""
    return not tally.prices.known and tally.doubtful + tally.replayed > 0
