"""Tasks of a comparison: one eval set per content, one paid eval run, and its judgement."""

import asyncio

from pareta_batch import (
    NO_ACCOUNT,
    Account,
    BatchError,
    EvalRunFailed,
    Spending,
    fan_out,
    spending,
    traced,
)
from pareta_client import EvalRun, ParetaError
from pareta_evals import (
    Comparisons,
    ComparisonSpec,
    EvalPlan,
    EvalRows,
    EvalRunner,
    ended_run,
    results_with_context,
    settle_bills,
)
from pareta_report import Comparison, ComparisonContext, failed_comparison, judge
from tasks.direct import run_logger, task
from tasks.events import comparison_decided, comparison_failed
from tasks.resources import shared_client, shared_ledger
from tasks.retries import RETRIES


@task(task_run_name="eval set of {spec.name}", **RETRIES)
async def prepare_eval_set(spec: ComparisonSpec) -> tuple[str, EvalRows | None]:
    """Return the id of the eval set with these rows, and the rows; create the set only if it does not exist."""
    async with shared_ledger() as ledger, shared_client() as pareta:
        work = EvalRunner(spec, pareta, ledger)
        rows = await work.rows()
        return await work.eval_set(rows), rows


@task(task_run_name="plan of {spec.name}", **RETRIES)
async def plan_eval_run(spec: ComparisonSpec, eval_set_id: str, occurrence: str | None = None) -> EvalPlan:
    """Decide which models are bought and which scores are reused. Raises ModelsUnknown."""
    async with shared_ledger() as ledger, shared_client() as pareta:
        return await EvalRunner(spec, pareta, ledger, occurrence).plan(eval_set_id)


@task(task_run_name="start eval run of {spec.name}", **RETRIES)
async def start_eval_run(
    spec: ComparisonSpec,
    eval_set_id: str,
    plan: EvalPlan,
    occurrence: str | None = None,
    account: Account = NO_ACCOUNT,
) -> str:
    """Return the id of the eval run of these models on this set: an existing paid run, else a new one.

    Each occurrence of a watch has its own run. A new run is bought within the budget of the account.
    """
    async with shared_ledger() as ledger, shared_client() as pareta:
        await settle_purchases(account.name)
        run_id = await EvalRunner(spec, pareta, ledger, occurrence, account).run(eval_set_id, plan)
    run_logger().info("eval run %s of %s on %s", run_id, ", ".join(plan.bought), eval_set_id)
    return run_id


@task(task_run_name="wait for {run_id}", **RETRIES)
async def wait_for_eval_run(run_id: str, wait_s: float) -> EvalRun:
    """Wait until the run has ended, and record its bill; a retry waits for the same run."""
    async with shared_client() as pareta, shared_ledger() as ledger:
        return await ended_run(pareta, ledger, run_id, wait_s)


async def settle_purchases(account: str) -> None:
    """Record the bills of eval runs that ended while no flow run waited for them."""
    async with shared_ledger() as ledger, shared_client() as pareta:
        await settle_bills(pareta, ledger, account)


async def spent_under(account: Account) -> Spending:
    """Return the spending of an account in all its runs."""
    async with shared_ledger() as ledger:
        return await asyncio.to_thread(spending, ledger, account.name)


@task(task_run_name="results of {spec.name}", **RETRIES)
async def results_of(
    spec: ComparisonSpec, run: EvalRun, plan: EvalPlan, rows: EvalRows | None
) -> tuple[EvalRun, ComparisonContext]:
    """Return the run with the reused baseline scores added, and the context of the comparison."""
    async with shared_ledger() as ledger, shared_client() as pareta:
        return await results_with_context(EvalRunner(spec, pareta, ledger), run, plan, rows)


def completed(run: EvalRun) -> EvalRun:
    """Return a run that has ended if it completed. Raises EvalRunFailed."""
    if run.status != "completed":
        raise EvalRunFailed(str(run.id), run.error_detail or f"its status is {run.status!r}")
    return run


async def run_comparisons(comparisons: Comparisons) -> tuple[Comparison, ...]:
    """Run the comparisons within their limit of concurrent runs; return them in the order of the spec."""
    results: dict[str, Comparison] = {}

    async def run(spec: ComparisonSpec) -> None:
        results[spec.name] = await run_comparison(spec, comparisons.wait_s, comparisons.account)

    async with shared_client(), shared_ledger():
        await fan_out(comparisons.comparisons, run, workers=comparisons.max_runs_in_flight)
    return tuple(results[spec.name] for spec in comparisons.comparisons)


async def run_comparison(spec: ComparisonSpec, wait_s: float, account: Account) -> Comparison:
    """Score the candidates and judge them; return an error as a failed comparison, so that others continue."""
    with traced("comparison", spec.name, account.tags) as span:
        return await _run_comparison(spec, wait_s, account, span)


async def _run_comparison(
    spec: ComparisonSpec, wait_s: float, account: Account, span: dict[str, str | int]
) -> Comparison:
    run_id = None
    try:
        eval_set_id, rows = await prepare_eval_set(spec)
        plan = await plan_eval_run(spec, eval_set_id)
        run_id = await start_eval_run(spec, eval_set_id, plan, account=account)
        span["pareta.eval_run"] = run_id
        ended = await wait_for_eval_run(run_id, wait_s)
        span["pareta.billed_micro_usd"] = ended.cost_micro_usd
        run, known = await results_of(spec, ended, plan, rows)
    except (ParetaError, BatchError) as error:
        span["error.type"] = type(error).__name__
        run_logger().error("%s: %s: %s", spec.name, type(error).__name__, error)
        comparison_failed(spec.name, error)
        return failed_comparison(spec.name, spec.task, error, run_id=run_id)
    comparison = judge(spec.name, spec.task, run, known)
    run_logger().info("%s: %s", spec.name, comparison.verdict.sentence)
    if comparison.status == "completed":
        comparison_decided(comparison)
    else:
        span["error.type"] = EvalRunFailed.__name__
    return comparison
