"""The budget of a batch at the start of a run: the spending of earlier runs under the current ceiling."""

import sqlalchemy as sa

from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.outcomes import Tally
from pareta_batch.ledger.overspending import holds_all
from pareta_batch.ledger.schema import ceilings
from pareta_batch.money import Budget, micro_usd
from pareta_batch.spec import Batch


def budget_of(batch: Batch, tally: Tally, ledger: Ledger) -> Budget | None:
    """Return the budget of a batch; None without a ceiling.

    While no price is known, the ledger keeps the highest ceiling so far. Requests in doubt reserve no more than that,
    so a run with a higher ceiling can continue.
    """
    ceiling = None if batch.budget_usd is None else micro_usd(batch.budget_usd)
    earlier = None if tally.prices.known else _keep(ledger, batch.name, ceiling, in_doubt=holds_all(tally))
    if ceiling is None:
        return None
    replayed = tally.replayed_at_most_micro_usd
    in_doubt, in_doubt_bytes = tally.doubtful, tally.doubtful_bytes
    if replayed is None:
        # Without a price, the original cost of replayed answers is as unknown as that of lost answers.
        in_doubt, in_doubt_bytes = in_doubt + tally.replayed, in_doubt_bytes + tally.replayed_prompt_tokens
    spent = (tally.billed_micro_usd or 0) + tally.superseded_micro_usd + (replayed or 0)
    return Budget(
        ceiling=ceiling,
        max_tokens=batch.sampling.most_tokens or 0,
        spent=spent,
        prices=tally.prices,
        in_doubt=in_doubt,
        in_doubt_bytes=in_doubt_bytes,
        held=max(0, (ceiling if earlier is None else earlier) - spent) if in_doubt else 0,
    )


def _keep(ledger: Ledger, batch: str, ceiling: int | None, *, in_doubt: bool) -> int | None:
    """Write the highest ceiling so far, and return the earlier one; None if requests were sent without a ceiling."""
    of_batch = ceilings.c.batch == batch
    with ledger.transaction() as db:
        found = db.execute(sa.select(ceilings.c.micro_usd).where(of_batch)).first()
        earlier = (found.micro_usd if found else None) if in_doubt else 0
        highest = None if ceiling is None or earlier is None else max(earlier, ceiling)
        db.execute(ceilings.delete().where(of_batch))
        db.execute(ceilings.insert().values(batch=batch, micro_usd=highest))
    return earlier
