"""Quotes of specs from the service and the ledger; nothing is billed."""

import asyncio
from dataclasses import dataclass

from pydantic import BaseModel

from flows.parameters import Pipeline, Promotion, Watch
from flows.planning import with_plans
from flows.quotes import AnyQuote, PipelineQuote, PromotionQuote, WatchQuote, cost_in_all
from pareta_batch import (
    NOTHING_BILLED,
    Batch,
    LeaderboardPrices,
    Ledger,
    Quote,
    check_rows,
    endpoint_named,
    fetch_leaderboard,
    id_of,
    quote_from,
    quote_rows,
)
from pareta_client import AsyncPareta, Endpoint
from pareta_evals import Comparisons, ComparisonsQuote, quote_comparisons
from tasks import make_client, shared_client, shared_ledger

NEXT_OCCURRENCE = "to come"


async def quote_comparisons_of(comparisons: Comparisons) -> ComparisonsQuote:
    """Return the quote of comparisons, with the shared client and ledger."""
    async with shared_client() as pareta, shared_ledger() as ledger:
        return await Quoter(pareta, ledger).comparisons(comparisons)


async def quote_pipeline(pipeline: Pipeline) -> PipelineQuote:
    """Return the quote of a pipeline, with the shared client and ledger."""
    async with shared_client() as pareta, shared_ledger() as ledger:
        return await Quoter(pareta, ledger).pipeline(pipeline)


@dataclass(frozen=True)
class Quoter:
    """Makes quotes from the service and the ledger."""

    pareta: AsyncPareta
    ledger: Ledger

    async def quote(self, spec: BaseModel) -> AnyQuote:
        """Return the quote of a spec. Raises BatchError and ParetaError."""
        match spec:
            case Batch():
                return await quote_rows(spec, await make_client(spec.credentials), self.ledger)
            case Comparisons():
                return await self.comparisons(spec)
            case Promotion():
                return await self.promotion(spec)
            case Watch():
                return await self.watch(spec)
            case Pipeline():
                return await self.pipeline(spec)
            case _:
                raise TypeError(f"no quote of a {type(spec).__name__}")

    async def comparisons(self, comparisons: Comparisons, margin: float | None = None) -> ComparisonsQuote:
        """Return the quote of comparisons, with a plan of each for a gate with this margin."""
        quote = await quote_comparisons(comparisons, self.pareta, self.ledger)
        return await asyncio.to_thread(with_plans, quote, comparisons.comparisons, margin)

    async def promotion(self, promotion: Promotion) -> PromotionQuote:
        """Return the quote of a promotion."""
        quote = await self.comparisons(promotion.comparisons(), promotion.policy.max_loss)
        board = await fetch_leaderboard(self.pareta, promotion.comparison.task)
        costs = {board.resolved(model): board.cost(model) for model in promotion.comparison.models}
        return PromotionQuote(name=promotion.name, comparison=quote, request_micro_usd=costs)

    async def watch(self, watch: Watch) -> WatchQuote:
        """Return the quote of one run of a watch."""
        quote = await quote_comparisons(watch.comparisons(), self.pareta, self.ledger, occurrence=NEXT_OCCURRENCE)
        return WatchQuote(name=watch.name, occasion=quote)

    async def pipeline(self, pipeline: Pipeline) -> PipelineQuote:
        """Return the quote of a pipeline; nothing is deployed."""
        board = await fetch_leaderboard(self.pareta, pipeline.task)
        endpoint = await self._endpoint_of(pipeline)
        batch = await self._batch_of(pipeline, endpoint, board)
        comparisons = pipeline.model_comparisons()
        compared = await self.comparisons(comparisons) if comparisons else None
        return PipelineQuote(
            name=pipeline.name,
            model=(endpoint.model if endpoint else None) or board.resolved(pipeline.model),
            endpoint=id_of(endpoint) if endpoint else None,
            deploys=pipeline.deploys,
            batch=batch,
            comparisons=compared,
            cost=cost_in_all(batch, compared),
        )

    async def _endpoint_of(self, pipeline: Pipeline) -> Endpoint | None:
        if not pipeline.deploys:
            return None
        deployment = pipeline.deployment()
        return await endpoint_named(self.pareta, deployment.name, deployment.task)

    async def _batch_of(self, pipeline: Pipeline, endpoint: Endpoint | None, board: LeaderboardPrices) -> Quote:
        batch = pipeline.batch_on(id_of(endpoint) if endpoint else pipeline.model)
        if pipeline.deploys and endpoint is None:
            # A new endpoint has no paid answers yet.
            rows = await asyncio.to_thread(check_rows, batch)
            return quote_from(batch, rows, rows, NOTHING_BILLED, board.cost(pipeline.model))
        return await quote_rows(batch, await make_client(batch.credentials), self.ledger)
