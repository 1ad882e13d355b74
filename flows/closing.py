"""Closing sentences: what a run did, for how many dollars, and where its results are."""

from pareta_batch import BatchReport
from tasks import address_of


def closing_of(result: object) -> str | None:
    """Return the closing sentence of a completed run; None for an unknown result."""
    # Only now: flows/outcomes.py has the reason.
    from flows.reports import ComparisonReport, PipelineReport, PromotionReport, WatchReport

    match result:
        case BatchReport():
            return f"{result}; answers: {result.output}"
        case ComparisonReport() | PipelineReport():
            return f"{result}; report: {address_of(result.report)}"
        case PromotionReport():
            return f"{result}; report: {address_of(result.comparisons.report)}"
        case WatchReport():
            return f"{result}; plot: {result.plot}"
        case str():
            return f"endpoint {result} is live and answers; it costs money until it is stopped"
        case tuple():
            return f"idle endpoints: {', '.join(map(str, result))}" if result else "no idle endpoints"
        case _:
            return None
