"""Answers and eval runs as tables, statistics, plots and one HTML page."""

from pareta_report import power
from pareta_report.answers import answers_table
from pareta_report.drift import (
    Drift,
    QualityPoint,
    Unavailable,
    drift_in,
    drift_since,
    looks_of,
    quality_over_time,
    quality_points,
)
from pareta_report.evidence import Look
from pareta_report.files import exports_of, may_replace
from pareta_report.gate import Decision, Policy, decide
from pareta_report.judgement import Background, failed_comparison, judge
from pareta_report.page import Page, render, write_exports, write_page
from pareta_report.plot import quality_against_cost
from pareta_report.quality import batch_measured_quality
from pareta_report.records import (
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
from pareta_report.sources import BatchFacts
from pareta_report.summary import markdown_summary, markdown_text
from pareta_report.tables import artifact_rows, batch_table, comparison_table

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
