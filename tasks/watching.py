"""Tasks of a watch: its history in the ledger, the drift, and the plot of the series."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter

from pareta_batch import Ledger
from pareta_client import EvalRun, NotFoundError
from pareta_evals import (
    EvalRows,
    load_scores,
    quality_history,
    save_quality,
    save_scores,
    series_of,
)
from pareta_report import (
    Drift,
    QualityPoint,
    RunScores,
    drift_in,
    markdown_text,
    quality_over_time,
    quality_points,
    run_scores,
    write_whole,
)
from tasks.artifacts import artifact_key
from tasks.direct import task, uses_prefect
from tasks.resources import shared_client, shared_ledger
from tasks.retries import RETRIES

Scale = tuple[float, float] | None
STORED = TypeAdapter(RunScores)
"""Reader of the scores in the ledger, where the keys of a JSON object are strings."""


@task(task_run_name="history of {watch}")
async def append_history(
    watch: str, occurrence: str, run: EvalRun, rows: EvalRows | None, score_range: Scale = None
) -> tuple[QualityPoint, ...]:
    """Record the scores of this occurrence, and return the series on these rows, the earliest first."""
    found = quality_points(occurrence, run, rows.groups if rows else None, score_range)
    points = [point.model_dump() for point in found]
    series = series_of(watch, str(run.eval_set_id))
    async with shared_ledger() as ledger:
        await asyncio.to_thread(save_quality, ledger, series, points)
        history = await asyncio.to_thread(quality_history, ledger, series)
    return tuple(QualityPoint.model_validate(entry) for entry in history)


@task(task_run_name="drift of {run.id}", **RETRIES)
async def drift_from(
    watch: str, history: tuple[QualityPoint, ...], run: EvalRun, rows: EvalRows | None, score_range: Scale = None
) -> tuple[Drift, Drift | None]:
    """Compare a run with all earlier runs of the series, and with the previous run alone."""
    groups = rows.groups if rows else None
    series = series_of(watch, str(run.eval_set_id))
    run_ids = list(dict.fromkeys(point.run_id for point in history))
    earlier = run_ids[: run_ids.index(str(run.id))] if str(run.id) in run_ids else run_ids
    now = run_scores(run, score_range)
    async with shared_ledger() as ledger:
        looks = await _series_scores(ledger, series, earlier, score_range)
        await asyncio.to_thread(_save_scores, ledger, series, str(run.id), now)
    looks[str(run.id)] = now
    drift = await asyncio.to_thread(drift_in, looks, groups)
    if len(looks) < 3:
        return drift, None
    return drift, await asyncio.to_thread(drift_in, dict(list(looks.items())[-2:]), groups)


async def _series_scores(
    ledger: Ledger, series: str, run_ids: list[str], score_range: Scale
) -> dict[str, dict[str, RunScores]]:
    """Return the scores of these runs by model: from the ledger, else from the service if it has the run."""
    known = await asyncio.to_thread(load_scores, ledger, series)
    looks: dict[str, dict[str, RunScores]] = {}
    async with shared_client() as pareta:
        for run_id in run_ids:
            if mine := [entry for entry in known if entry["run_id"] == run_id]:
                looks[run_id] = {entry["model"]: STORED.validate_python(entry) for entry in mine}
                continue
            with suppress(NotFoundError):
                # The watch began before the ledger kept scores.
                looks[run_id] = run_scores(await pareta.evals.runs.retrieve(run_id), score_range)
                await asyncio.to_thread(_save_scores, ledger, series, run_id, looks[run_id])
    return looks


def _save_scores(ledger: Ledger, series: str, run_id: str, looks: Mapping[str, RunScores]) -> None:
    save_scores(ledger, series, [{"run_id": run_id, "model": model, **asdict(look)} for model, look in looks.items()])


@task(task_run_name="plot of {watch}")
async def publish_history(watch: str, history: tuple[QualityPoint, ...], path: str) -> str:
    """Write the plot of the series; publish it and its numbers as artifacts if Prefect is used."""
    uri = await asyncio.to_thread(_write_plot, history, Path(path))
    if not uses_prefect():
        return path
    from prefect.artifacts import acreate_link_artifact, acreate_table_artifact

    rows = [point.model_dump() for point in history]
    await acreate_table_artifact(
        rows, key=artifact_key(watch, "quality"), description=f"Quality of {markdown_text(watch)} over time"
    )
    await acreate_link_artifact(uri, link_text="Series", key=artifact_key(watch, "series"))
    return path


def _write_plot(history: tuple[QualityPoint, ...], path: Path) -> str:
    return write_whole(path, quality_over_time(history)).resolve().as_uri()
