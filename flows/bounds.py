"""Bounds of a deployment that events start: whoever sends an event names files and batches."""

import asyncio

from prefect import get_client
from prefect.context import FlowRunContext
from prefect.exceptions import ObjectNotFound
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flows.outcomes import flow_run_here
from pareta_batch import (
    Batch,
    Ledger,
    NotAllowed,
    billed_to,
    budget_dollars,
    claim_origin,
    confined,
    is_ours,
    micro_usd,
    origin_of,
)
from pareta_evals import Comparisons, ComparisonSpec
from tasks import shared_ledger

MICRO = 1_000_000


class Bounds(BaseModel):
    """What a deployment that events start may use and spend."""

    model_config = ConfigDict(title="Bounds", extra="forbid", frozen=True)

    folder: str = Field(
        min_length=1,
        title="Folder",
        description="Only files under this folder are read and written; links are followed",
    )
    budget_usd: float = Field(
        gt=0,
        allow_inf_nan=False,
        title="Budget",
        description="Most dollars for all batches together that this deployment, or one of `origins`, has started",
    )
    origins: tuple[str, ...] = Field(
        (),
        title="Origins",
        description="Deployments (flow/deployment) whose batches it may continue beside its own",
    )


async def started_here(batch: Batch, bounds: Bounds | None, *, dry_run: bool = False) -> Batch:
    """Return the batch as this deployment may run it, and enter it in the ledger as started here, if it is new.

    A dry run starts nothing: only its files are checked.

    Raises NotAllowed for a batch that was started elsewhere, a file outside the folder, or a budget that is used up.
    """
    origin = "" if dry_run else await origin_here()
    async with shared_ledger() as ledger:
        if dry_run:
            return await asyncio.to_thread(_confined, batch, bounds, ledger) if bounds else batch
        return await asyncio.to_thread(_started, batch, bounds, origin, ledger)


async def continued_here(batch: Batch, bounds: Bounds | None) -> Batch:
    """Return a batch that was started before as this deployment may run it. Raises NotAllowed."""
    if bounds is None:
        return batch
    origin = await origin_here()
    async with shared_ledger() as ledger:
        started_by = await asyncio.to_thread(origin_of, batch.name, ledger)
        return await asyncio.to_thread(_bounded, batch, bounds, origin, started_by, ledger)


def compared_here(comparisons: Comparisons, bounds: Bounds | None) -> Comparisons:
    """Return comparisons whose files are all under the folder, and whose budget is at most that of the bounds.

    Raises NotAllowed.
    """
    if bounds is None:
        return comparisons
    report = comparisons.report or f"{bounds.folder}/{comparisons.report_path}"
    specs = tuple(_compared(spec, bounds) for spec in comparisons.comparisons)
    budget = min(bounds.budget_usd, comparisons.budget_usd or bounds.budget_usd)
    found = {"report": confined(report, bounds.folder, "report"), "comparisons": specs, "budget_usd": budget}
    return comparisons.model_copy(update=found)


async def origin_here() -> str:
    """Return the name of this run's deployment as `flow/deployment`, or of its flow where it has none."""
    run, context = flow_run_here(), FlowRunContext.get()
    flow = context.flow.name if context and context.flow else ""
    if run is None or run.deployment_id is None:
        return flow
    async with get_client() as client:
        try:
            return f"{flow}/{(await client.read_deployment(run.deployment_id)).name}"
        except ObjectNotFound:
            return f"{flow}/{run.deployment_id}"


def _started(batch: Batch, bounds: Bounds | None, origin: str, ledger: Ledger) -> Batch:
    if bounds is None:
        # An event may have claimed the name before: it owns a batch only with rows of its own.
        claim_origin(batch.name, origin, ledger, replaces=True)
        return batch
    # The files first: a batch that is refused for them is not started.
    _confined(batch, bounds, ledger)
    return _bounded(batch, bounds, origin, claim_origin(batch.name, origin, ledger), ledger)


def _bounded(batch: Batch, bounds: Bounds, origin: str, started_by: str | None, ledger: Ledger) -> Batch:
    allowed = {origin, *bounds.origins}
    if started_by not in allowed:
        whose = f"was started by {started_by!r}" if started_by else "is not known, or older than the ledger's origins"
        raise NotAllowed(f"batch {batch.name!r}: {whose}; {origin!r} continues only those of {_listed(allowed)}")
    left = micro_usd(bounds.budget_usd) - billed_to(allowed, ledger, but=batch.name)
    if left <= 0:
        budget_text = budget_dollars(bounds.budget_usd)
        raise NotAllowed(f"batch {batch.name!r}: the budget of {budget_text} of {_listed(allowed)} is used up")
    budget = min(left / MICRO, batch.budget_usd or left / MICRO)
    try:
        return Batch.model_validate({**_confined(batch, bounds, ledger).model_dump(), "budget_usd": budget})
    except ValidationError as error:
        raise NotAllowed(f"batch {batch.name!r}: {error.errors()[0]['msg']}") from None


def _confined(batch: Batch, bounds: Bounds, ledger: Ledger) -> Batch:
    """Return the batch with resolved paths; its output goes under the folder where none is named."""
    output = confined(batch.output or f"{bounds.folder}/answers/{batch.name}.jsonl", bounds.folder, "output")
    dataset = confined(batch.dataset, bounds.folder, "dataset")
    found = batch.model_copy(update={"dataset": dataset, "output": output})
    confined(str(found.page_path), bounds.folder, "page")
    if found.output_path.exists() and not is_ours(found, ledger):
        raise NotAllowed(f"output {output!r}: a file that batch {batch.name!r} did not write; name another one")
    return found


def _compared(spec: ComparisonSpec, bounds: Bounds) -> ComparisonSpec:
    if spec.rows is None:
        return spec
    return spec.model_copy(update={"rows": confined(spec.rows, bounds.folder, "rows")})


def _listed(names: set[str]) -> str:
    return ", ".join(map(repr, sorted(names)))
