from .history import load_scores, quality_history, save_quality, save_scores, series_of
from .judging import ended_run, results_with_context, settle_bills
from .notebook import Evaluation, evaluate, evaluate_sync
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
    "Evaluation",
    "PlannedSize",
    "RunWait",
    "RunsInFlight",
    "ended_run",
    "estimated",
    "eval_work_begun",
    "evaluate",
    "evaluate_sync",
    "load_scores",
    "quality_history",
    "quote_comparisons",
    "quote_of",
    "read_eval_rows",
    "results_with_context",
    "save_quality",
    "save_scores",
    "series_of",
    "settle_bills",
    "subject_of",
]
