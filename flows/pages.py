"""Which facts stand on which report page."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import PurePath

from flows.outcomes import PipelineReport
from flows.parameters import Pipeline
from pareta_batch import Batch, BatchReport
from pareta_evals import Comparisons
from pareta_report import Comparison, Page


def comparison_page(comparisons: Comparisons, results: Sequence[Comparison]) -> Page:
    """Show what each comparison decided, and on what."""
    beside = PurePath(comparisons.report_path)
    return Page(
        title=comparisons.name,
        generated_at=datetime.now(UTC),
        comparisons=tuple(results),
        ran={
            "the same as": f"{beside.with_suffix('.json').name} and {beside.with_suffix('.csv').name}, beside this page"
        },
    )


def batch_page(batch: Batch, report: BatchReport) -> Page:
    """Show what became of every row and every dollar of a batch, and what was learned of the service's limits."""
    return Page(
        title=batch.name,
        generated_at=datetime.now(UTC),
        batch=report,
        answers=report.output if report.total else None,  # an answers file without rows may have no columns either
        limits=report.limits,
        id_column=batch.id_column,
        ran={"dataset": batch.dataset, "prompt": batch.prompt},
    )


def pipeline_page(pipeline: Pipeline, report: PipelineReport) -> Page:
    """Show the verdicts, the batch, and what every row got."""
    return Page(
        title=pipeline.name,
        generated_at=datetime.now(UTC),
        batch=report.batch,
        answers=report.batch.output,
        limits=report.batch.limits,
        id_column=pipeline.batch.id_column,
        truth_column=pipeline.truth_column,
        comparisons=report.comparisons.comparisons if report.comparisons else (),
        ran={
            "model": report.batch.model + (f" ({pipeline.model} for {pipeline.task})" if pipeline.deploys else ""),
            "dataset": pipeline.batch.dataset,
            "prompt": pipeline.batch.prompt,
        },
    )
