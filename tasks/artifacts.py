"""What a person finds in the Prefect UI when a run has ended: tables, a summary, a link to the report."""

import asyncio
import base64
import re
from pathlib import Path

from prefect import task
from prefect.artifacts import acreate_link_artifact, acreate_markdown_artifact, acreate_table_artifact
from prefect.cache_policies import NO_CACHE

from pareta_batch import BatchReport, OutputError
from pareta_report import (
    Comparison,
    MeasuredQuality,
    Page,
    answers_table,
    artifact_rows,
    batch_measured_quality,
    batch_table,
    comparison_table,
    markdown_summary,
    markdown_text,
    quality_against_cost,
    write_exports,
    write_page,
)
from tasks.events import batch_ended


def artifact_key(*parts: str) -> str:
    """Make an artifact's key: small letters, digits and dashes are all that Prefect takes."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")


@task(task_run_name="publish {report.name}", cache_policy=NO_CACHE)
async def publish_batch(report: BatchReport) -> None:
    """Leave the batch's table and summary with the run."""
    table = artifact_rows(batch_table(report))
    await acreate_table_artifact(table, key=artifact_key(report.name, "batch"), description=markdown_text(str(report)))
    summary = markdown_summary(batch=report)
    await acreate_markdown_artifact(summary, key=artifact_key(report.name, "summary"), description="Rows and dollars")
    batch_ended(report)


@task(task_run_name="quality of {output}", cache_policy=NO_CACHE)
async def measure_quality(output: str, truth_column: str | None) -> MeasuredQuality | None:
    """Measure the answers against the truth, where the dataset has it."""
    if truth_column is None:
        return None
    answers = await asyncio.to_thread(answers_table, output)
    return batch_measured_quality(answers, truth_column)


@task(task_run_name="publish {name}", cache_policy=NO_CACHE)
async def publish_comparisons(name: str, comparisons: tuple[Comparison, ...]) -> None:
    """Leave the comparisons' table, summary and plots with the run."""
    table = artifact_rows(comparison_table(comparisons))
    await acreate_table_artifact(table, key=artifact_key(name, "comparison"), description="Quality and cost per model")
    summary = markdown_summary(comparisons=comparisons)
    await acreate_markdown_artifact(summary, key=artifact_key(name, "verdicts"), description="Which model wins, if any")
    for comparison in comparisons:
        if comparison.status == "completed":
            plot = _embedded(await asyncio.to_thread(quality_against_cost, comparison))
            key = artifact_key(name, comparison.name, "plot")
            # As markdown: the page of an image artifact prints the whole address below it.
            await acreate_markdown_artifact(
                f"![{markdown_text(comparison.name)}]({plot})",
                key=key,
                description=f"{markdown_text(comparison.name)}: quality and cost",
            )


@task(task_run_name="report of {name}", cache_policy=NO_CACHE)
async def publish_page(name: str, page: Page, path: str) -> str:
    """Write the HTML report, its comparisons as JSON and CSV beside it, and leave a link with the run."""
    try:
        written = await asyncio.to_thread(write_page, page, Path(path))
        if page.comparisons:
            await asyncio.to_thread(write_exports, page.comparisons, written)
    except OSError as error:
        raise OutputError(f"report {path} cannot be written: {error}") from error
    shown = markdown_text(str(written))
    uri, key = written.resolve().as_uri(), artifact_key(name, "report")
    await acreate_link_artifact(uri, link_text="HTML report", key=key, description=f"On the worker's disk: {shown}")
    return str(written)


def _embedded(svg: str) -> str:
    """Give a drawing as an address that holds it: the UI is served from another machine than the worker's disk."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
