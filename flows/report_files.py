"""Checks of the report files of a run before anything is paid; they need no Prefect."""

from pathlib import Path

from flows.parameters import Pipeline
from tasks import check_report


def check_reports(pipeline: Pipeline) -> None:
    """Check that the reports replace no other file, before anything is paid. Raises OutputError."""
    batch, comparisons = pipeline.batch_on("auto"), pipeline.model_comparisons()
    files = (batch.output_path, Path(str(batch.dataset)))
    for path in (pipeline.report_path, *([comparisons.report_path] if comparisons else ())):
        check_report(path, exports=comparisons is not None, apart_from=files)
