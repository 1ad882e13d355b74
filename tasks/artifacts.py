"""Tasks that write the report, and publish results as artifacts if Prefect is used."""

import asyncio
import base64
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pareta_report
from pareta_batch import PACKAGE, BatchReport, OutputError, running_version
from tasks.direct import task, uses_prefect
from tasks.events import batch_ended
from tasks.report_address import REPORTS_URL, report_url

if TYPE_CHECKING:
    # The modules of reports are imported once a run needs them, at its end.
    from pareta_report import Comparison, MeasuredQuality, Page


def made_by() -> str:
    """Return package, version and commit of the running code."""
    return f"{PACKAGE} {running_version()}"


def artifact_key(*parts: str) -> str:
    """Return the key of an artifact, reduced to what Prefect accepts: lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")


@task(task_run_name="publish {report.name}")
async def publish_batch(report: BatchReport) -> None:
    """Publish the batch's table and summary as artifacts, and emit its event."""
    if uses_prefect():
        from prefect.artifacts import acreate_markdown_artifact, acreate_table_artifact

        table, key = pareta_report.artifact_rows(pareta_report.batch_table(report)), artifact_key(report.name, "batch")
        await acreate_table_artifact(table, key=key, description=pareta_report.markdown_text(str(report)))
        summary, key = pareta_report.markdown_summary(batch=report), artifact_key(report.name, "summary")
        await acreate_markdown_artifact(await _signed(summary), key=key, description="Rows and dollars")
    batch_ended(report)


@task(task_run_name="quality of {output}")
async def measure_quality(output: str, truth_column: str | None) -> "MeasuredQuality | None":
    """Measure the answers against the truth column; return None without one."""
    if truth_column is None:
        return None
    answers = await asyncio.to_thread(pareta_report.answers_table, output)
    return pareta_report.batch_measured_quality(answers, truth_column)


@task(task_run_name="publish {name}")
async def publish_comparisons(name: str, comparisons: "tuple[Comparison, ...]") -> None:
    """Publish the comparisons' table, summary and plots as artifacts."""
    if not uses_prefect():
        return
    from prefect.artifacts import acreate_markdown_artifact, acreate_table_artifact

    table = pareta_report.artifact_rows(pareta_report.comparison_table(comparisons))
    await acreate_table_artifact(table, key=artifact_key(name, "comparison"), description="Quality and cost per model")
    summary = pareta_report.markdown_summary(comparisons=comparisons)
    key = artifact_key(name, "verdicts")
    await acreate_markdown_artifact(await _signed(summary), key=key, description="Which model wins, if any")
    for comparison in comparisons:
        if comparison.status == "completed":
            key = artifact_key(name, comparison.name, "plot")
            description = f"{pareta_report.markdown_text(comparison.name)}: quality and cost"
            plot = await asyncio.to_thread(_plot, comparison)
            await acreate_markdown_artifact(plot, key=key, description=description)


@task(task_run_name="report of {name}")
async def publish_page(name: str, page: "Page", path: str) -> str:
    """Write the HTML report and its comparisons as JSON and CSV; publish a link, and return the path."""
    page = replace(page, ran={**page.ran, "code": await asyncio.to_thread(made_by)})
    try:
        written = await asyncio.to_thread(pareta_report.write_page, page, Path(path))
        if page.comparisons:
            await asyncio.to_thread(pareta_report.write_exports, page.comparisons, written)
    except OSError as error:
        raise OutputError(f"report {path!r}: not writable: {error}; choose another report") from error
    if uses_prefect():
        await _publish_address(artifact_key(name, "report"), str(written))
    return str(written)


@task(task_run_name="summary of {name}")
async def publish_summary(
    name: str,
    closing: str,
    batch: BatchReport,
    quality: "MeasuredQuality | None",
    comparisons: "tuple[Comparison, ...]",
) -> None:
    """Publish the whole result of a pipeline on the page of its run: closing sentence, verdicts, plots, tables."""
    if not uses_prefect():
        return
    from prefect.artifacts import acreate_markdown_artifact, acreate_table_artifact

    plots = [await asyncio.to_thread(_plot, each) for each in comparisons if each.status == "completed"]
    summary = pareta_report.markdown_summary(comparisons=comparisons, batch=batch, quality=quality)
    text = "\n\n".join([f"**{pareta_report.markdown_text(closing)}**", summary, *plots])
    await acreate_markdown_artifact(
        await _signed(text), key=artifact_key(name, "pipeline"), description="Result of the pipeline"
    )
    rows = pareta_report.artifact_rows(pareta_report.batch_table(batch))
    await acreate_table_artifact(rows, key=artifact_key(name, "pipeline", "batch"), description="Rows and dollars")
    if comparisons:
        models = pareta_report.artifact_rows(pareta_report.comparison_table(comparisons))
        key = artifact_key(name, "pipeline", "models")
        await acreate_table_artifact(models, key=key, description="Quality and cost per model")


async def _signed(text: str) -> str:
    """Return a text with the code that made it."""
    return f"{text.rstrip()}\n\nmade by {pareta_report.markdown_text(await asyncio.to_thread(made_by))}\n"


async def _publish_address(key: str, path: str) -> None:
    """Publish a link to a report, or where it is on the worker's disk: a browser does not open `file://` links."""
    from prefect.artifacts import acreate_link_artifact, acreate_markdown_artifact

    shown = pareta_report.markdown_text(path)
    if url := report_url(path):
        await acreate_link_artifact(url, link_text="HTML report", key=key, description=f"On the worker's disk: {shown}")
        return
    step = f"set {pareta_report.markdown_text(REPORTS_URL)} on the workers to link it here"
    text = f"HTML report on the worker's disk: {shown}; {step}"
    await acreate_markdown_artifact(text, key=key, description="Place of the HTML report")


def _plot(comparison: "Comparison") -> str:
    """Return the plot as a Markdown image with its data: the machine of the UI cannot read the worker's disk."""
    # As markdown: an image artifact also prints its data URL, which is the whole image.
    svg = base64.b64encode(pareta_report.quality_against_cost(comparison).encode()).decode()
    return f"![{pareta_report.markdown_text(comparison.name)}](data:image/svg+xml;base64,{svg})"
