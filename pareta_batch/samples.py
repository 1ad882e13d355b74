"""A sample of a batch: a few rows that are sent, or were answered before, as pairs of prompt and answer."""

import asyncio
from collections.abc import Iterator
from contextlib import nullcontext, suppress

from pydantic import Field

from pareta_batch.approval import check_approval
from pareta_batch.engine import Watched, open_session, register_rows
from pareta_batch.errors import BatchStopped, RowsUnanswered
from pareta_batch.ledger import Ledger, Outcome
from pareta_batch.money import dollars
from pareta_batch.plurals import quantity
from pareta_batch.quote import Quote, kept_quote, leaderboard_rate
from pareta_batch.rows import Message, RowRequest, row_requests
from pareta_batch.spec import Batch
from pareta_batch.spec_base import Frozen
from pareta_client import AsyncPareta

MAX_SHOWN_CHARS = 600
"""Characters of a prompt or an answer in the text of a sample. Raising it prints longer documents."""


class SampledRow(Frozen):
    """One row of a sample: its place in the dataset from 1, its key, the messages, and the answer or the error."""

    row: int
    key: str
    messages: tuple[Message, ...]
    answer: str | None
    error: str | None
    billed_micro_usd: int | None

    def __str__(self) -> str:
        asked = [
            ("prompt" if each["role"] == "user" else each["role"], _text(each.get("content"))) for each in self.messages
        ]
        result = ("answer", self.answer or "(empty)") if self.error is None else ("error", self.error)
        return "\n".join([f"row {self.row}  {self.key}", *(_part(name, text) for name, text in (*asked, result))])


class SampleReport(Frozen):
    """The sampled rows of a batch, what they cost, and the quote of the remaining rows."""

    name: str
    rows: tuple[SampledRow, ...]
    sent: int = Field(description="Rows that this run sent; the others were answered before")
    billed_micro_usd: int | None = Field(description="Receipts of the whole batch so far; None without a receipt")
    all_rows_micro_usd: int | None = Field(description="Expected cost of all rows, the answered ones included")
    quote: Quote

    @property
    def failed(self) -> int:
        """Sampled rows without an answer."""
        return sum(row.error is not None for row in self.rows)

    def __str__(self) -> str:
        answered, left = len(self.rows) - self.failed, self.quote.to_send
        so_far = "no receipt so far" if self.billed_micro_usd is None else f"{dollars(self.billed_micro_usd)} so far"
        whole = "unknown" if self.all_rows_micro_usd is None else f"about {dollars(self.all_rows_micro_usd)}"
        lines = [
            *(f"{row}\n" for row in self.rows),
            f"{self.name}: {answered} of {len(self.rows)} sampled rows answered, {self.sent} sent now; {so_far}",
            f"cost of all {quantity(self.quote.total, 'row')}: {whole}, the sample included",
            *([str(self.quote)] if left and self.quote.cost is not None else ()),
            f"a full run sends only the other {quantity(left, 'row')}" if left else "no row is left to send",
        ]
        return "\n".join(lines)


async def sample_answers(
    batch: Batch,
    pareta: AsyncPareta,
    ledger: Ledger,
    count: int,
    *,
    approved: bool = False,
    watched: Watched = nullcontext,
) -> SampleReport:
    """Send the rows of a sample that have no answer yet, and return all its rows with their answers.

    The same `count` chooses the same rows: evenly spaced ones, the first included. Takes ownership of `pareta`.
    The rows are sent inside `watched(session)`.
    Raises as `register_rows`, BatchStopped if sending was stopped, and ApprovalNeeded if the rows to send can cost more
    than `approve_above_usd`, unless they are `approved`.
    """
    plan = await asyncio.to_thread(register_rows, batch, ledger)
    positions = sample_positions(plan.total, count)
    before = await asyncio.to_thread(_settled, batch, ledger)
    async with open_session(batch, pareta, ledger) as session:
        rows = await asyncio.to_thread(ledger.missing_at, batch.name, positions)
        if not approved:
            await check_approval(batch, ledger, rows, session)
        session.progress.limit_to(len(rows), total=len(positions))
        # Failed rows are shown with their error.
        with suppress(RowsUnanswered):
            async with watched(session):
                await session.complete_rows(positions)
        rate = await session.ask(leaderboard_rate(batch, session.pareta))
    if session.stop is not None:
        raise BatchStopped(session.stop.reason, session.stop.message)
    quote = await asyncio.to_thread(kept_quote, batch, ledger, rate)
    return await asyncio.to_thread(_report, batch, ledger, positions, before, quote)


def sample_positions(total: int, count: int) -> list[int]:
    """Return `count` evenly spaced positions of `total` rows; all rows if there are fewer."""
    count = min(count, total)
    return [index * total // count for index in range(count)]


def _settled(batch: Batch, ledger: Ledger) -> int:
    return ledger.tally(batch.name).answered


def _report(batch: Batch, ledger: Ledger, positions: list[int], before: int, quote: Quote) -> SampleReport:
    wanted = set(positions)
    requests = [request for request in row_requests(batch) if request.position in wanted]
    outcomes = ledger.outcomes_of(batch.name, [request.key for request in requests])
    tally = ledger.tally(batch.name)
    receipts = [outcome.billed_micro_usd for outcome in outcomes.values() if outcome.billed_micro_usd]
    remaining = quote.likely_micro_usd
    if remaining is None and receipts:
        remaining = round(sum(receipts) / len(receipts) * quote.to_send)
    whole = None if remaining is None else (tally.billed_micro_usd or 0) + remaining
    return SampleReport(
        name=batch.name,
        rows=tuple(_rows(requests, outcomes)),
        sent=tally.answered - before,
        billed_micro_usd=tally.billed_micro_usd,
        all_rows_micro_usd=whole,
        quote=quote,
    )


def _rows(requests: list[RowRequest], outcomes: dict[str, Outcome]) -> Iterator[SampledRow]:
    for request in requests:
        outcome = outcomes[request.key]
        failed = f"{outcome.error}: {outcome.error_message}" if outcome.error else "no answer yet"
        yield SampledRow(
            row=request.position + 1,
            key=request.key,
            messages=request.messages,
            answer=outcome.answer,
            error=None if outcome.state == "settled" else failed,
            billed_micro_usd=outcome.billed_micro_usd,
        )


def _text(content: object) -> str:
    return content if isinstance(content, str) else repr(content)


def _part(name: str, text: str) -> str:
    shown = text if len(text) <= MAX_SHOWN_CHARS else f"{text[:MAX_SHOWN_CHARS]} … ({len(text):,} characters)"
    return f"  {name + ':':8}" + "\n".join((" " * 10 + line).rstrip() for line in shown.split("\n")).lstrip()
