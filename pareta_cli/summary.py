"""Summary that ends a command: what this run did, what it cost, and the files that it wrote."""

from collections.abc import Iterator
from typing import Any

from flows.reports import ComparisonReport, PipelineReport, PromotionReport, WatchReport
from flows.spent import Spent
from pareta_batch import BatchReport, dollars, quantity


def summary(report: Any) -> str:  # the flows return different reports
    """Return the lines of the summary; an empty text for a result without one."""
    return "\n".join(_lines(report))


def _lines(report: Any) -> Iterator[str]:
    match report:
        case BatchReport():
            yield f"this run: {report.this_run}"
            yield f"answers:  {report.output}"
            yield f"page:     {report.page}"
        case PipelineReport():
            yield f"this run: {report.batch.this_run}{_bought(report.spent)}"
            yield f"all runs: {_in_all(report)}"
            yield f"answers:  {report.batch.output}"
            yield f"page:     {report.report}"
        case ComparisonReport():
            yield f"this run: {_compared(report)}{_bought(report.spent)}"
            yield f"page:     {report.report}"
        case PromotionReport():
            deployed = f"endpoint {report.endpoint} deployed" if report.endpoint else "nothing deployed"
            yield f"this run: {_compared(report.comparisons)}, {deployed}{_bought(report.spent)}"
            yield f"page:     {report.comparisons.report}"
        case WatchReport():
            yield f"this run: eval run {report.run_id}{_bought(report.spent)}"
            yield f"plot:     {report.plot}"
        case str():
            yield f"this run: endpoint {report} is live, and answered a smoke call"


def _compared(report: ComparisonReport) -> str:
    failed = sum(each.status == "failed" for each in report.comparisons)
    decided = len(report.comparisons) - failed
    return f"{quantity(decided, 'comparison')} decided, {failed} failed"


def _bought(spent: Spent | None) -> str:
    """Return the cost of the purchases of this run: eval runs and smoke calls."""
    return "" if spent is None else f"; {dollars(spent.this_run_micro_usd)} for eval runs and smoke calls"


def _in_all(report: PipelineReport) -> str:
    if report.spent is None:
        return f"{dollars(report.total_micro_usd)} billed"
    bought = dollars(report.spent.spent_micro_usd)
    return f"{dollars(report.total_micro_usd)} in all, of it {bought} for eval runs and smoke calls"
