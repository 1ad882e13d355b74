"""Tasks of a watch: its history in the ledger, the run to compare with, and the plot of the series."""

import asyncio
from contextlib import suppress
from pathlib import Path

from prefect import task
from prefect.artifacts import acreate_link_artifact, acreate_table_artifact
from prefect.cache_policies import NO_CACHE

from pareta_batch.eval_rows import EvalRows
from pareta_batch.history import quality_history, remember_quality, series_of
from pareta_client import EvalRun, NotFoundError
from pareta_report import Drift, QualityPoint, drift_since, quality_over_time, quality_points
from tasks.artifacts import artifact_key
from tasks.retries import RETRIES
from tasks.shared import connected, recorded


@task(task_run_name="history of {watch}", cache_policy=NO_CACHE)
async def enter_in_history(watch: str, occasion: str, run: EvalRun, rows: EvalRows | None) -> tuple[QualityPoint, ...]:
    """Write down what this occasion scored, and give the whole series on these rows, the earliest occasion first."""
    points = [point.model_dump() for point in quality_points(occasion, run, rows.groups if rows else None)]
    series = series_of(watch, str(run.eval_set_id))
    async with recorded() as ledger:
        await asyncio.to_thread(remember_quality, ledger, series, points)
        history = await asyncio.to_thread(quality_history, ledger, series)
    return tuple(QualityPoint.model_validate(entry) for entry in history)


@task(task_run_name="drift of {run.id}", cache_policy=NO_CACHE, **RETRIES)
async def drift_from(
    history: tuple[QualityPoint, ...], run: EvalRun, rows: EvalRows | None
) -> tuple[Drift, Drift | None]:
    """Compare a run with the earliest one of the series that the service still has, and with the one before it."""
    earlier = [run_id for run_id in dict.fromkeys(point.run_id for point in history) if run_id != run.id]
    groups = rows.groups if rows else None
    first = await _first_there(earlier) or run
    last = await _first_there(earlier[::-1])
    since_last = None if last is None or last.id == first.id else drift_since(last, run, groups)
    return drift_since(first, run, groups), since_last


async def _first_there(run_ids: list[str]) -> EvalRun | None:
    """Read the first of these runs that the service still has."""
    async with connected() as pareta:
        for run_id in run_ids:
            with suppress(NotFoundError):
                return await pareta.evals.runs.retrieve(run_id)
    return None


@task(task_run_name="plot of {watch}", cache_policy=NO_CACHE)
async def publish_history(watch: str, history: tuple[QualityPoint, ...], path: str) -> str:
    """Write the plot of the series, and leave it and its numbers with the run."""
    uri = await asyncio.to_thread(_write_plot, history, Path(path))
    rows = [point.model_dump() for point in history]
    await acreate_table_artifact(rows, key=artifact_key(watch, "quality"), description=f"Quality of {watch} over time")
    await acreate_link_artifact(uri, link_text="Series", key=artifact_key(watch, "series"))
    return path


def _write_plot(history: tuple[QualityPoint, ...], path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(quality_over_time(history), encoding="utf-8")
    return path.resolve().as_uri()
