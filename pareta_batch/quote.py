"""What a batch will cost and how long it will take, before it is sent."""

import asyncio
from contextlib import suppress
from math import ceil, sqrt
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pareta_batch.batch import Batch
from pareta_batch.dollars import estimate
from pareta_batch.enrolment import enrol
from pareta_batch.errors import RowsUnanswered
from pareta_batch.leaderboard import listed
from pareta_batch.ledger import Ledger
from pareta_batch.session import open_session
from pareta_batch.tallying import Sample
from pareta_client import AsyncPareta, NotFoundError

FEWEST_ANSWERS = 5
LEADERBOARD_RANGE = 3.0
"""The leaderboard's rows are not these rows: a third to three times its cost."""


class Quote(BaseModel):
    """Rows to send, and what they will cost (micro-USD) and take (seconds) as far as `basis` can tell.

    From `receipts`, low and high are an interval of some 95 %; from the `leaderboard`, an order of magnitude.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    total: int
    to_send: int
    basis: Literal["receipts", "leaderboard", "nothing"]
    low_micro_usd: int | None = None
    likely_micro_usd: int | None = None
    high_micro_usd: int | None = None
    duration_s: float | None = Field(None, description="At max_in_flight and the latency seen so far")

    def __str__(self) -> str:
        rows = f"{self.name}: {self.to_send} of {self.total} rows to send"
        if self.low_micro_usd is None or self.high_micro_usd is None or self.likely_micro_usd is None:
            return f"{rows}; cost unknown: ask for a pilot of some rows"
        cost = estimate(self.low_micro_usd, self.likely_micro_usd, self.high_micro_usd, self.basis)
        took = "" if self.duration_s is None else f", some {self.duration_s:.0f} s"
        return f"{rows}; {cost}{took}"


async def quote(batch: Batch, pareta: AsyncPareta, ledger: Ledger, *, pilot: int = 0) -> Quote:
    """Say what a run of the batch will cost, from its own receipts, else from the leaderboard.

    With `pilot`, so many rows are sent first; their answers are part of the batch. Nothing else is sent. Takes over
    `pareta`. Raises what `enrol` raises, and BatchStopped when the pilot was stopped.
    """
    plan = await asyncio.to_thread(enrol, batch, ledger)
    async with open_session(batch, pareta, ledger) as session:
        if pilot and plan.to_send:
            # Rows that failed are sent again with the rest.
            with suppress(RowsUnanswered):
                await session.pilot(pilot)
        rate = await session.ask(_leaderboard_rate(batch, session.pareta))
    to_send = sum(ledger.missing_shards(batch.name, batch.shard_size).values())
    return quote_from(batch, plan.total, to_send, ledger.sample(batch.name), rate)


def quote_from(batch: Batch, total: int, to_send: int, sample: Sample, rate: float | None) -> Quote:
    """Quote from a sample of answers, else from a rate in micro-USD a request."""
    if sample.answers >= FEWEST_ANSWERS:
        likely = to_send * sample.mean_micro_usd
        # Both the sum of the rows to come and the mean of those seen vary.
        spread = 2 * sqrt(sample.variance * to_send * (1 + to_send / sample.answers))
        duration = to_send * sample.latency_ms / 1000 / min(batch.max_in_flight, max(to_send, 1))
        return _quote(batch, total, to_send, "receipts", likely - spread, likely, likely + spread, duration)
    if rate is not None:
        likely = to_send * rate
        return _quote(
            batch, total, to_send, "leaderboard", likely / LEADERBOARD_RANGE, likely, likely * LEADERBOARD_RANGE, None
        )
    return Quote(name=batch.name, total=total, to_send=to_send, basis="nothing")


def _quote(
    batch: Batch,
    total: int,
    to_send: int,
    basis: Literal["receipts", "leaderboard"],
    low: float,
    likely: float,
    high: float,
    duration_s: float | None,
) -> Quote:
    return Quote(
        name=batch.name,
        total=total,
        to_send=to_send,
        basis=basis,
        low_micro_usd=max(0, int(low)),
        likely_micro_usd=round(likely),
        high_micro_usd=ceil(high),
        duration_s=None if duration_s is None else round(duration_s, 1),
    )


async def _leaderboard_rate(batch: Batch, pareta: AsyncPareta) -> float | None:
    """Find what a request to the batch's endpoint costs by the leaderboard of its task."""
    if batch.model == "auto":
        return None
    try:
        endpoint = await pareta.endpoints.retrieve(batch.model)
    except NotFoundError:
        return None
    return (await listed(pareta, endpoint.task)).cost(endpoint.model or "")
