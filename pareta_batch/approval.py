"""The rule of `approve_above_usd`, and its check before rows are sent without a flow."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from pareta_batch.engine import Session
from pareta_batch.errors import BatchError
from pareta_batch.ledger import Ledger, RowSelection
from pareta_batch.money import budget_dollars, dollars, micro_usd
from pareta_batch.quote import Quote, leaderboard_rate, quote_from
from pareta_batch.rows import RowRequest
from pareta_batch.spec import Batch

NEXT_STEP = "nothing was sent; pass approved=True, or raise approve_above_usd"


class HasThreshold(Protocol):
    """A spec with a quote that a person approves."""

    @property
    def approve_above_usd(self) -> float | None:
        """Dollars above which a quote needs an approval."""

    @property
    def budget_usd(self) -> float | None:
        """Maximum cost in dollars."""


class ApprovalNeeded(BatchError):
    """A quote above `approve_above_usd` where no person can be asked; nothing was sent.

    `question` is the quote with its threshold.
    """

    def __init__(self, question: str, next_step: str = "") -> None:
        self.question = question
        super().__init__(question, next_step)

    def __str__(self) -> str:
        return "; ".join(filter(None, self.args))


def question_above(spec: HasThreshold, quote: object, high: int | None) -> str | None:
    """Return the quote with the approval that it needs; None if it needs none.

    The most that the run can cost is `high` (micro-USD), and no more than `budget_usd`. An unknown cost needs an
    approval.
    """
    above = spec.approve_above_usd
    if above is None:
        return None
    if spec.budget_usd is not None:
        high = min(micro_usd(spec.budget_usd), micro_usd(spec.budget_usd) if high is None else high)
    if high is not None and high <= above * 1_000_000:
        return None
    can_cost = "an unknown amount" if high is None else f"up to {dollars(high)}"
    return f"{quote}; it can cost {can_cost}, above approve_above_usd of {budget_dollars(above)}"


def high_of_rows(quote: Quote) -> int | None:
    """Return the high end of the quote of a batch in micro-USD; None if it is unknown."""
    return quote.high_micro_usd if quote.to_send else 0


async def check_approval(
    batch: Batch, ledger: Ledger, rows: RowSelection | Sequence[RowRequest], session: Session | None = None
) -> None:
    """Raise ApprovalNeeded if the rows can cost more than `approve_above_usd`; nothing is sent.

    Args:
        batch: The batch of the rows; without a threshold nothing is read.
        ledger: Its ledger, with the receipts of earlier rows.
        rows: The rows to send.
        session: Open session of the batch; without one the leaderboard is not read.
    """
    if batch.approve_above_usd is None:
        return
    rate = None if session is None else await session.ask(leaderboard_rate(batch, session.pareta))
    quote = await asyncio.to_thread(_quote, batch, ledger, rows, rate)
    if (question := question_above(batch, quote, high_of_rows(quote))) is not None:
        raise ApprovalNeeded(question, NEXT_STEP)


def _quote(batch: Batch, ledger: Ledger, rows: RowSelection | Sequence[RowRequest], rate: float | None) -> Quote:
    if isinstance(rows, RowSelection):
        sample = ledger.sample(batch.name, rows)
        to_send = sum(ledger.missing_shards(batch.name, batch.shard_size, rows).values())
    else:
        sample = replace(ledger.sample(batch.name), to_send=Counter(row.prompt_bytes for row in rows))
        to_send = len(rows)
    return quote_from(batch, ledger.tally(batch.name).total, to_send, sample, rate)
