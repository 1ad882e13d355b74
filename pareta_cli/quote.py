"""Quotes of a spec before it runs; only the pilot of a batch sends billed calls."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import typer
from pydantic import BaseModel

from flows.parameters import Pipeline, Promotion, Watch
from flows.planning import with_plans
from flows.quotes import AnyQuote, PipelineQuote, PromotionQuote, WatchQuote, cost_in_all
from flows.signals import run_until_interrupted
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
from pareta_cli.spec_kinds import Command, command_for, kind_of
from pareta_cli.specs import SpecError, fields_of, spec_from
from pareta_client import AsyncPareta, Endpoint
from pareta_evals import Comparisons, ComparisonsQuote, quote_comparisons
from tasks import make_client

NEXT_OCCURRENCE = "to come"


QUOTED = tuple(command for command in Command if command is not Command.DEPLOY)
"""Commands with a quote: a deployed endpoint has no cost until it answers."""


def spec_of(path: Path, overrides: Sequence[str], command: str | None = None) -> BaseModel:
    """Read the spec of a command; without `command`, detect it from the fields. Raises SpecError."""
    if command is not None and command not in QUOTED:
        raise SpecError(f"--for {command!r}: unknown command; choose one of {', '.join(QUOTED)}")
    fields = fields_of(path)
    found = Command(command or command_for(path, fields))
    if found not in QUOTED:
        raise SpecError(f"{path}: spec of {found}, which has no quote; name the spec of {', '.join(QUOTED)}")
    return spec_from(kind_of(found), path, fields, overrides)


def make_quote(spec: BaseModel, pilot: int = 0) -> AnyQuote:
    """Return the quote of a spec; for a batch, after a pilot of `pilot` rows.

    Raises BatchError, ParetaError, and SpecError if `pilot` is set for a spec that is not a batch.
    """
    if pilot and not isinstance(spec, Batch):
        raise SpecError(f"--pilot {pilot}: the spec is not a batch; remove --pilot")
    ledger = Ledger.open()
    try:
        return run_until_interrupted(lambda: _make_quote(spec, ledger, pilot), partial(typer.echo, err=True))
    finally:
        ledger.close()


async def _make_quote(spec: BaseModel, ledger: Ledger, pilot: int) -> AnyQuote:
    if isinstance(spec, Batch):
        return await quote_rows(spec, await make_client(spec.credentials), ledger, pilot=pilot)
    async with await make_client(getattr(spec, "credentials", None)) as pareta:
        quoter = _Quoter(pareta, ledger)
        match spec:
            case Comparisons():
                return await quoter.comparisons(spec)
            case Promotion():
                return await quoter.promotion(spec)
            case Watch():
                return await quoter.watch(spec)
            case Pipeline():
                return await quoter.pipeline(spec)
            case _:
                raise TypeError(f"no command accepts a {type(spec).__name__}")


@dataclass(frozen=True)
class _Quoter:
    """Makes quotes from the service and the ledger."""

    pareta: AsyncPareta
    ledger: Ledger

    async def comparisons(self, comparisons: Comparisons, margin: float | None = None) -> ComparisonsQuote:
        quote = await quote_comparisons(comparisons, self.pareta, self.ledger)
        return await asyncio.to_thread(with_plans, quote, comparisons.comparisons, margin)

    async def promotion(self, promotion: Promotion) -> PromotionQuote:
        quote = await self.comparisons(promotion.comparisons(), promotion.policy.max_loss)
        board = await fetch_leaderboard(self.pareta, promotion.comparison.task)
        costs = {board.resolved(model): board.cost(model) for model in promotion.comparison.models}
        return PromotionQuote(name=promotion.name, comparison=quote, request_micro_usd=costs)

    async def watch(self, watch: Watch) -> WatchQuote:
        quote = await quote_comparisons(watch.comparisons(), self.pareta, self.ledger, occurrence=NEXT_OCCURRENCE)
        return WatchQuote(name=watch.name, occasion=quote)

    async def pipeline(self, pipeline: Pipeline) -> PipelineQuote:
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
