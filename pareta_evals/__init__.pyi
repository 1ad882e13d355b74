from .history import load_scores, quality_history, save_quality, save_scores, series_of
from .plan import EvalPlan, eval_work_begun
from .quote import ComparisonQuote, ComparisonsQuote, PlannedSize, estimated, quote_comparisons, quote_of, subject_of
from .rows import EvalRows, read_eval_rows
from .runner import EvalRunner
from .spec import Comparisons, ComparisonSpec, RunsInFlight, RunWait

__all__ = [
    "ComparisonQuote",
    "ComparisonSpec",
    "Comparisons",
    "ComparisonsQuote",
    "EvalPlan",
    "EvalRows",
    "EvalRunner",
    "PlannedSize",
    "RunWait",
    "RunsInFlight",
    "estimated",
    "eval_work_begun",
    "load_scores",
    "quality_history",
    "quote_comparisons",
    "quote_of",
    "read_eval_rows",
    "save_quality",
    "save_scores",
    "series_of",
    "subject_of",
]
