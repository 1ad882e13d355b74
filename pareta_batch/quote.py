"""The quote of a batch's cost and duration, from its receipts or from the leaderboard."""

from math import ceil, log
from typing import Literal

from pydantic import Field

from pareta_batch.durations import duration_text
from pareta_batch.ledger import (
    ALL_UNSETTLED,
    Ledger,
    Quoted,
    RowSelection,
    Sample,
    Tally,
    distinct_rows,
    hit_rate,
    keep_quote,
)
from pareta_batch.money import CostQuote, CostRange, dollars, fetch_leaderboard
from pareta_batch.plurals import quantity
from pareta_batch.spec import Batch
from pareta_client import AsyncPareta, NotFoundError

MIN_ANSWERS = 5
RARE_SHARE = 0.01
RARE_LENGTH_FACTOR = 100
"""Assumed rare rows, which a small sample misses: 1 in 100, with 100 × as long an answer; higher warns of more cost."""
ANSWERS_TO_SEE_RARE = ceil(log(0.05) / log(1 - RARE_SHARE))
"""Answers that contain a row with the share `RARE_SHARE` with a probability of 95 %: log(0.05) / log(1 - share)."""


class Quote(CostQuote):
    """A batch's rows to send, with their expected cost (micro-USD) and duration (seconds).

    From `receipts`, low and high are a 95 % interval; from the `leaderboard`, an order of magnitude. `answers`: number
    of receipts. `rare_micro_usd`: additional cost of rare rows that the sample can miss. `held`: those of the latest
    `checked` quotes with this basis whose interval contained the paid cost.
    """

    name: str
    total: int
    to_send: int
    basis: Literal["receipts", "leaderboard", "nothing"]
    duration_s: float | None = Field(None, description="At max_in_flight and the latency seen so far")
    answers: int = 0
    rare_micro_usd: int | None = None
    copies: int = Field(0, description="Rows with the request of another row of the batch, which is sent once")
    saved_micro_usd: int | None = Field(None, description="Expected saving by the copies that have no answer yet")
    held: int = 0
    checked: int = 0

    def __str__(self) -> str:
        rows = f"{self.name}: {self.to_send} of {self.total} rows to send{self._shared()}"
        if self.cost is None:
            return f"{rows}; cost unknown: ask for a pilot of some rows"
        took = "" if self.duration_s is None else f", about {duration_text(self.duration_s)}"
        record = f"; of the last {self.checked} quotes {self.held} held" if self.checked else ""
        return f"{rows}; {self.cost.described(self.basis)}{took}{self._rare()}{record}"

    def _shared(self) -> str:
        if not self.copies:
            return ""
        saves = f"; saves about {dollars(self.saved_micro_usd)}" if self.saved_micro_usd else ""
        return f"; {distinct_rows(self.total, self.copies)}{saves}"

    def _rare(self) -> str:
        if not self.rare_micro_usd:
            return ""
        return (
            f"; {quantity(self.answers, 'answer')} can miss rare rows: if one row in {round(1 / RARE_SHARE)} has an "
            f"answer {RARE_LENGTH_FACTOR} times as long, add {dollars(self.rare_micro_usd)}"
        )


def quote_from(batch: Batch, total: int, to_send: int, sample: Sample, rate: float | None) -> Quote:
    """Return a quote from a sample of answers, else from a rate in micro-USD per request."""
    if len(sample.answered) >= MIN_ANSWERS:
        return _from_receipts(batch, total, to_send, sample)
    if rate is not None:
        cost = CostRange.from_leaderboard(to_send * rate)
        return Quote(name=batch.name, total=total, to_send=to_send, basis="leaderboard", cost=cost)
    return Quote(name=batch.name, total=total, to_send=to_send, basis="nothing")


def _from_receipts(batch: Batch, total: int, to_send: int, sample: Sample) -> Quote:
    from pareta_batch.money import forecast

    longest = batch.sampling.most_tokens
    cost = forecast(sample.answered, sample.to_send, longest)
    duration = to_send * sample.latency_ms / 1000 / min(batch.max_in_flight, max(to_send, 1))
    rare = (
        None
        if sample.answers >= ANSWERS_TO_SEE_RARE
        else to_send * RARE_SHARE * _rare_micro_usd(sample, cost.answer_token, longest)
    )
    return Quote(
        name=batch.name,
        total=total,
        to_send=to_send,
        basis="receipts",
        duration_s=round(duration, 1),
        answers=sample.answers,
        rare_micro_usd=None if rare is None else round(rare),
        cost=CostRange.rounded(cost.low, cost.likely, cost.high),
    )


def _rare_micro_usd(sample: Sample, answer_token: float | None, longest: int | None) -> float:
    """Return the additional cost of one row with a very long answer, compared with a typical one."""
    if answer_token is None:
        return (RARE_LENGTH_FACTOR - 1) * sample.mean_micro_usd
    typical = sum(row.completion_tokens for row in sample.answered) / len(sample.answered)
    tokens = RARE_LENGTH_FACTOR * typical if longest is None else min(RARE_LENGTH_FACTOR * typical, longest)
    return answer_token * max(tokens - typical, 0.0)


def kept_quote(batch: Batch, ledger: Ledger, rate: float | None, wanted: RowSelection = ALL_UNSETTLED) -> Quote:
    """Return the quote of the rows to send; the ledger keeps it, to compare it with the bill."""
    to_send = sum(ledger.missing_shards(batch.name, batch.shard_size, wanted).values())
    tally = ledger.tally(batch.name)
    made = _with_copies(quote_from(batch, tally.total, to_send, ledger.sample(batch.name, wanted), rate), tally)
    if made.cost is None or not to_send:
        return made
    quoted = Quoted(
        kind="batch",
        name=batch.name,
        basis=made.basis,
        rows=to_send,
        cost=made.cost,
        settled_before=tally.answered,
        billed_before=(tally.billed_micro_usd or 0) + tally.superseded_micro_usd,
    )
    keep_quote(ledger, quoted)
    rate_so_far = hit_rate(ledger, "batch", made.basis)
    return made.model_copy(update={"held": rate_so_far.held, "checked": rate_so_far.checked})


def _with_copies(quote: Quote, tally: Tally) -> Quote:
    per_row = None if quote.likely_micro_usd is None or not quote.to_send else quote.likely_micro_usd / quote.to_send
    saved = None if per_row is None else round(per_row * tally.open_copies)
    return quote.model_copy(update={"copies": tally.copies, "saved_micro_usd": saved})


async def leaderboard_rate(batch: Batch, pareta: AsyncPareta) -> float | None:
    """Return the cost of a request to the batch's endpoint, in micro-USD, from the leaderboard of its task."""
    if batch.model == "auto":
        return None
    try:
        endpoint = await pareta.endpoints.retrieve(batch.model)
    except NotFoundError:
        return None
    return (await fetch_leaderboard(pareta, endpoint.task)).cost(endpoint.model or "")
