"""Bounds of a deployment that events start, because the sender of an event names files and batches."""

import asyncio
import re
from contextvars import ContextVar
from typing import TYPE_CHECKING, Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flows.direct import current_flow_name
from flows.forms import titled
from pareta_batch import (
    MICRO_PER_USD,
    AnyDataset,
    Batch,
    EventIncomplete,
    Ledger,
    NotAllowed,
    UserPath,
    billed_to,
    budget_dollars,
    claim_origin,
    confined,
    confined_dataset,
    folder_of,
    is_ours,
    micro_usd,
    origin_of,
)
from tasks import current_flow_run, shared_ledger

if TYPE_CHECKING:
    from flows.parameters import Pipeline, Promotion, Watch
    from pareta_evals import Comparisons, ComparisonSpec

# Names of the specs: a batch alone does not need their modules.
Bounded = TypeVar("Bounded", "Comparisons", "Promotion", "Watch")

EVENT_WITHOUT = re.compile("^event-without-([A-Za-z0-9_]+)")
"""Default of a trigger's template for a missing field, as in `default('event-without-name')`."""

_started_by: ContextVar[str | None] = ContextVar("started_by", default=None)


class Bounds(BaseModel):
    """Files, batches and dollars that a deployment started by events may use."""

    model_config = ConfigDict(title="Bounds", extra="forbid", frozen=True)

    folder: UserPath = Field(
        min_length=1,
        title="Folder",
        description="Only files under this folder are read and written, after links are resolved",
    )
    budget_usd: float = Field(
        gt=0,
        allow_inf_nan=False,
        title="Budget",
        description="Maximum dollars for all batches together that this deployment, or one of `origins`, started",
    )
    origins: tuple[str, ...] = Field(
        (),
        title="Origins",
        description="Other deployments (flow/deployment) whose batches this deployment may continue",
    )


BoundsForm = Annotated[Bounds | None, titled("Bounds")]


async def admit_batch(batch: Batch, bounds: Bounds | None, *, dry_run: bool = False) -> Batch:
    """Return the batch within the bounds, and record this deployment as the origin of a new batch in the ledger.

    A dry run records nothing and checks only the files.

    Raises:
        NotAllowed: Another deployment started the batch, a file is outside the folder, or the budget is used up.
    """
    check_event(batch)
    origin = "" if dry_run else await current_origin()
    async with shared_ledger() as ledger:
        if dry_run:
            return await asyncio.to_thread(_confined, batch, bounds, ledger) if bounds else batch
        return await asyncio.to_thread(_claimed, batch, bounds, origin, ledger)


async def admit_known_batch(batch: Batch, bounds: Bounds | None) -> Batch:
    """Return a batch that the ledger has already, within the bounds. Raises NotAllowed."""
    check_event(batch)
    if bounds is None:
        return batch
    origin = await current_origin()
    async with shared_ledger() as ledger:
        started_by = await asyncio.to_thread(origin_of, batch.name, ledger)
        return await asyncio.to_thread(_bounded, batch, bounds, origin, started_by, ledger)


def admit(spec: Bounded, bounds: Bounds | None) -> Bounded:
    """Return the spec with the budget of the bounds as a maximum; every file must be under the folder.

    The report of a promotion is admitted with its comparison. Raises NotAllowed.
    """
    check_event(spec)
    if bounds is None:
        return spec
    from flows.parameters import Promotion, Watch
    from pareta_evals import Comparisons

    changes: dict[str, object] = {"budget_usd": min(bounds.budget_usd, spec.budget_usd or bounds.budget_usd)}
    match spec:
        case Comparisons():
            report = spec.report or f"{bounds.folder}/{spec.report_path}"
            changes["report"] = confined(report, bounds.folder, "report")
            changes["comparisons"] = tuple(_compared(each, bounds) for each in spec.comparisons)
        case Promotion():
            changes["comparison"] = _compared(spec.comparison, bounds)
        case Watch():
            plot = spec.plot or f"{bounds.folder}/{spec.plot_path}"
            changes["plot"] = confined(plot, bounds.folder, "plot")
            changes["comparison"] = _compared(spec.comparison, bounds)
    return spec.model_copy(update=changes)


async def admit_pipeline(pipeline: "Pipeline", bounds: Bounds | None) -> "Pipeline":
    """Return the pipeline within the bounds; its batch counts as started by this deployment. Raises NotAllowed."""
    check_event(pipeline)
    if bounds is None:
        return pipeline
    batch = await admit_batch(pipeline.batch_on("auto", pipeline.budget_usd), bounds)
    # The batch runs as a subflow, which has no deployment of its own.
    _started_by.set(await current_origin())
    report = pipeline.report or f"{bounds.folder}/{pipeline.report_path}"
    changes = {
        "batch": pipeline.batch.model_copy(update={"dataset": batch.dataset, "output": batch.output}),
        "budget_usd": batch.budget_usd,
        "comparisons": tuple(_compared(spec, bounds) for spec in pipeline.comparisons),
        "report": confined(report, bounds.folder, "report"),
    }
    return pipeline.model_copy(update=changes)


def check_event(parameter: BaseModel) -> None:
    """Check that no value is the default of a trigger for a missing field. Raises EventIncomplete."""
    for value in parameter.model_dump().values():
        if isinstance(value, str) and (missing := EVENT_WITHOUT.match(value)):
            field = missing[1]
            raise EventIncomplete(f"event without field {field!r}: nothing was started; add {field!r} to its payload")


async def current_origin() -> str:
    """Return `flow/deployment` of this run, or the name of its flow if it has no deployment."""
    if (started_by := _started_by.get()) is not None:
        return started_by
    run, flow = current_flow_run(), current_flow_name()
    if run is None or run.deployment_id is None:
        return flow
    from prefect import get_client
    from prefect.exceptions import ObjectNotFound

    async with get_client() as client:
        try:
            return f"{flow}/{(await client.read_deployment(run.deployment_id)).name}"
        except ObjectNotFound:
            return f"{flow}/{run.deployment_id}"


def _claimed(batch: Batch, bounds: Bounds | None, origin: str, ledger: Ledger) -> Batch:
    if bounds is None:
        # An event may have claimed the name first; without rows in the ledger its claim is replaced.
        claim_origin(batch.name, origin, ledger, replaces=True)
        return batch
    # Check the files first: a refused batch must not claim its name.
    _confined(batch, bounds, ledger)
    return _bounded(batch, bounds, origin, claim_origin(batch.name, origin, ledger), ledger)


def _bounded(batch: Batch, bounds: Bounds, origin: str, started_by: str | None, ledger: Ledger) -> Batch:
    allowed = {origin, *bounds.origins}
    if started_by not in allowed:
        known = f"was started by {started_by!r}" if started_by else "is unknown, or older than the ledger's origins"
        raise NotAllowed(f"batch {batch.name!r}: {known}; {origin!r} continues only batches of {_quoted(allowed)}")
    left = micro_usd(bounds.budget_usd) - billed_to(allowed, ledger, but=batch.name)
    if left <= 0:
        budget_text = budget_dollars(bounds.budget_usd)
        raise NotAllowed(f"batch {batch.name!r}: the budget of {budget_text} of {_quoted(allowed)} is used up")
    budget = min(left / MICRO_PER_USD, batch.budget_usd or left / MICRO_PER_USD)
    try:
        return Batch.model_validate({**_confined(batch, bounds, ledger).model_dump(), "budget_usd": budget})
    except ValidationError as error:
        raise NotAllowed(f"batch {batch.name!r}: {error.errors()[0]['msg']}") from None


def _confined(batch: Batch, bounds: Bounds, ledger: Ledger) -> Batch:
    """Return the batch with resolved paths; the default output is under the folder."""
    given = batch.output or f"{bounds.folder}/answers/{batch.name}.jsonl"
    output = confined(given, bounds.folder, "output") + ("/" if batch.output_folder else "")
    dataset = confined_dataset(batch.dataset, bounds.folder, "dataset")
    examples = None if batch.examples is None else confined_dataset(batch.examples, bounds.folder, "examples")
    files = {"files_folder": _files_folder(batch.files_folder, dataset, bounds), "examples": examples}
    bounded = batch.model_copy(update={"dataset": dataset, "output": output, **files})
    for path in bounded.attached_paths:
        confined(path, bounds.folder, "attachment")
    confined(str(bounded.page_path), bounds.folder, "page")
    if bounded.output_path.exists() and not is_ours(bounded, ledger):
        raise NotAllowed(f"output {output!r}: the file was not written by batch {batch.name!r}; choose another output")
    return bounded


def _compared(spec: "ComparisonSpec", bounds: Bounds) -> "ComparisonSpec":
    if spec.rows is None:
        return spec
    rows = confined_dataset(spec.rows, bounds.folder, "rows")
    return spec.model_copy(update={"rows": rows, "files_folder": _files_folder(spec.files_folder, rows, bounds)})


def _files_folder(folder: str | None, dataset: AnyDataset, bounds: Bounds) -> str:
    """Return the folder that attached files may not leave; by default that of the dataset."""
    return confined(folder or str(folder_of(dataset)), bounds.folder, "files_folder")


def _quoted(names: set[str]) -> str:
    return ", ".join(map(repr, sorted(names)))
