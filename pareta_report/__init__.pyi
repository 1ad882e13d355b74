from .batch.answers import answers_table
from .batch.quality import batch_measured_quality
from .comparison.drift import (
    Drift,
    QualityPoint,
    Unavailable,
    drift_in,
    drift_since,
    looks_of,
    quality_over_time,
    quality_points,
)
from .comparison.gate import Decision, Policy, decide
from .comparison.judge import ComparisonContext, failed_comparison, judge
from .comparison.results import (
    Answered,
    Comparison,
    ComparisonVerdict,
    Difference,
    Disagreement,
    ModelScore,
    Recommendation,
    Standing,
)
from .comparison.row_results import MeasuredQuality
from .render.files import exports_of, may_replace, write_whole
from .render.markdown import markdown_summary, markdown_text
from .render.page import Page, render_page, write_exports, write_page
from .render.plot import quality_against_cost
from .render.tables import artifact_rows, batch_table, comparison_table
from .stats import power
from .stats.e_values import Look
from .stats.power import detectable, of_gate, rows_to_pass

__all__ = [
    "Answered",
    "Comparison",
    "ComparisonContext",
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
    "detectable",
    "drift_in",
    "drift_since",
    "exports_of",
    "failed_comparison",
    "judge",
    "looks_of",
    "markdown_summary",
    "markdown_text",
    "may_replace",
    "of_gate",
    "power",
    "quality_against_cost",
    "quality_over_time",
    "quality_points",
    "render_page",
    "rows_to_pass",
    "write_exports",
    "write_page",
    "write_whole",
]
