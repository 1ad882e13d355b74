"""Content of the report pages."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import PurePath
from typing import TYPE_CHECKING

import pareta_report
from pareta_batch import Batch, BatchReport, BatchWork

if TYPE_CHECKING:
    from flows.parameters import Pipeline
    from flows.reports import PipelineReport
    from pareta_evals import Comparisons
    from pareta_report import Comparison, Page


def comparison_page(comparisons: "Comparisons", results: "Sequence[Comparison]") -> "Page":
    """Return the page of comparisons: their decisions and the data behind them."""
    page = PurePath(comparisons.report_path)
    return pareta_report.Page(
        title=comparisons.name,
        generated_at=datetime.now(UTC),
        comparisons=tuple(results),
        ran={"the same as": f"{page.with_suffix('.json').name} and {page.with_suffix('.csv').name}, beside this page"},
    )


def batch_page(batch: Batch, report: BatchReport) -> "Page":
    """Return the page of a batch: its rows, its dollars and the learned limits of the service."""
    return pareta_report.Page(
        title=batch.name,
        generated_at=datetime.now(UTC),
        batch=report,
        answers=_answers_of(batch, report),
        id_column=batch.id_column,
        ran={"dataset": str(batch.dataset), "prompt": batch.shown_question},
    )


def _answers_of(batch: BatchWork, report: BatchReport) -> str | None:
    """Return the answers file that a page can show; one without rows, or for another program, may lack columns."""
    return report.output if report.total and batch.output_format == "columns" else None


def pipeline_page(pipeline: "Pipeline", report: "PipelineReport") -> "Page":
    """Return the page of a pipeline: the verdicts, the batch and the answers."""
    return pareta_report.Page(
        title=pipeline.name,
        generated_at=datetime.now(UTC),
        batch=report.batch,
        purchases_micro_usd=report.spent.spent_micro_usd if report.spent else None,
        answers=_answers_of(pipeline.batch, report.batch),
        id_column=pipeline.batch.id_column,
        truth_column=pipeline.truth_column,
        comparisons=report.comparisons.comparisons if report.comparisons else (),
        ran={
            "model": report.batch.model + (f" ({pipeline.model} for {pipeline.task})" if pipeline.deploys else ""),
            "dataset": str(pipeline.batch.dataset),
            "prompt": pipeline.batch.shown_question,
        },
    )
