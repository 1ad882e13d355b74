"""Answers and eval runs as tables, statistics, plots and one HTML page."""

from pareta_report.batch.answers import answers_table
from pareta_report.batch.quality import batch_measured_quality
from pareta_report.batch.sources import BatchFacts
from pareta_report.comparison.drift import (
    Drift,
    QualityPoint,
    Unavailable,
    drift_in,
    drift_since,
    looks_of,
    quality_over_time,
    quality_points,
)
from pareta_report.comparison.gate import Decision, Policy, decide
from pareta_report.comparison.judge import ComparisonContext, failed_comparison, judge
from pareta_report.comparison.results import (
    Answered,
    Comparison,
    ComparisonVerdict,
    Difference,
    Disagreement,
    MeasuredQuality,
    ModelScore,
    Recommendation,
    Standing,
)
from pareta_report.render.files import exports_of, may_replace
from pareta_report.render.markdown import markdown_summary, markdown_text
from pareta_report.render.page import Page, render, write_exports, write_page
from pareta_report.render.plot import quality_against_cost
from pareta_report.render.tables import artifact_rows, batch_table, comparison_table
from pareta_report.stats import power
from pareta_report.stats.e_values import Look

__all__ = [
    "Answered",
    "Background",
    "BatchFacts",
    "Comparison",
    "ComparisonVerdict",
    "Decision",
    "Difference",
    "Disagreement",
    "Drift",
    "Look",
    "MeasuredQuality",
    "ModelScore",
    "Page",
    "Policy",
    "QualityPoint",
    "Recommendation",
    "Standing",
    "Unavailable",
    "answers_table",
    "artifact_rows",
    "batch_measured_quality",
    "batch_table",
    "comparison_table",
    "decide",
    "drift_in",
    "drift_since",
    "exports_of",
    "failed_comparison",
    "judge",
    "looks_of",
    "markdown_summary",
    "markdown_text",
    "may_replace",
    "power",
    "quality_against_cost",
    "quality_over_time",
    "quality_points",
    "render",
    "write_exports",
    "write_page",
]
