"""The end of a comparison's eval work: bills, results, and the judgement."""

import asyncio
from contextlib import suppress

from pareta_batch import Ledger, bill_run, check_comparison_quote, unsettled
from pareta_client import AsyncPareta, EvalRun, NotFoundError
from pareta_evals.plan import EvalPlan, eval_work_begun
from pareta_evals.quote import subject_of
from pareta_evals.rows import EvalRows
from pareta_evals.runner import EvalRunner
from pareta_report import ComparisonContext

MAX_POLL_INTERVAL_S = 15.0
"""Upper bound of the seconds between two polls of an eval run; raising it notices its end later."""


async def settle_bills(pareta: AsyncPareta, ledger: Ledger, account: str) -> None:
    """Record the bills of eval runs of an account that ended while nothing waited for them."""
    for run_id in await asyncio.to_thread(unsettled, ledger, account):
        with suppress(NotFoundError):
            await asyncio.to_thread(bill_run, ledger, await pareta.evals.runs.retrieve(run_id))


async def ended_run(pareta: AsyncPareta, ledger: Ledger, run_id: str, wait_s: float) -> EvalRun:
    """Wait until an eval run has ended, record its bill, and return it."""
    run = await pareta.evals.runs.wait(run_id, poll_interval=MAX_POLL_INTERVAL_S, timeout=wait_s)
    await asyncio.to_thread(bill_run, ledger, run)
    return run


async def results_with_context(
    work: EvalRunner, run: EvalRun, plan: EvalPlan, rows: EvalRows | None
) -> tuple[EvalRun, ComparisonContext]:
    """Return the run with the reused baseline scores added, and the context of the comparison."""
    spec, ledger = work.spec, work.ledger
    count = len(rows.items) if rows else await work.row_count(run.eval_set_id)
    if run.cost_micro_usd:
        subject = subject_of(count, plan.bought)
        await asyncio.to_thread(check_comparison_quote, ledger, spec.name, subject, run.cost_micro_usd)
    context = ComparisonContext(
        rows=rows.items if rows else None,
        groups=rows.groups if rows else None,
        slices=(spec.slice_column, rows.slices) if rows and rows.slices and spec.slice_column else None,
        estimates=await work.costs(plan, count, run.eval_set_id),
        reused=plan.reused,
        margin=spec.margin,
        score_range=spec.score_range,
        started_at=await asyncio.to_thread(eval_work_begun, ledger, str(run.id)),
    )
    return await work.results(run, plan), context
