"""Tasks of a comparison: an eval set made once per content, an eval run paid for once, and its judgement."""

import asyncio

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from pareta_batch.comparing import Comparisons, ComparisonSpec, eval_run_key, eval_set_key, read_eval_rows
from pareta_batch.errors import BatchError
from pareta_batch.fan_out import fan_out
from pareta_client import EvalRun, NotFoundError, ParetaError
from pareta_report import Comparison, failed_comparison, judge
from tasks.events import comparison_decided, comparison_failed
from tasks.retries import RETRIES
from tasks.shared import connected, id_of, recorded


@task(task_run_name="eval set of {spec.name}", cache_policy=NO_CACHE, **RETRIES)
async def prepare_eval_set(spec: ComparisonSpec) -> str:
    """Give the id of the eval set with these rows, made only if the service has none yet."""
    if spec.eval_set is not None:
        return spec.eval_set
    rows = await asyncio.to_thread(read_eval_rows, str(spec.rows))
    key = eval_set_key(spec, rows)
    async with recorded() as ledger, connected() as pareta:
        known = await asyncio.to_thread(ledger.eval_work, key)
        if known is not None and await _exists(known):
            return known
        made = await pareta.evals.sets.create(
            # Nothing but the content may show in the request: equal rows are one set, whoever compares on them.
            task=spec.task,
            items=rows,
            name=f"{spec.task or 'rows'}-{key[:8]}",
            prompt=spec.prompt,
            idempotency_key=key,
        )
        eval_set_id = id_of(made)
        await asyncio.to_thread(ledger.remember_eval_work, key, eval_set_id)
        get_run_logger().info("eval set %s: %d rows for %s", eval_set_id, len(rows), spec.task)
        return eval_set_id


@task(task_run_name="start eval run of {spec.name}", cache_policy=NO_CACHE, **RETRIES)
async def start_eval_run(spec: ComparisonSpec, eval_set_id: str, occasion: str | None = None) -> str:
    """Give the id of the eval run of these models on this set: the one paid for already, else a new one.

    A run that failed at the service, or that it has no more, is replaced by a new one. Runs of different occasions
    are repeated on purpose.
    """
    async with recorded() as ledger, connected() as pareta:
        key = eval_run_key(spec, eval_set_id, occasion=occasion)
        while (known := await asyncio.to_thread(ledger.eval_work, key)) is not None:
            if await _usable(known):
                return known
            key = eval_run_key(spec, eval_set_id, after=known, occasion=occasion)
        run = await pareta.evals.runs.create(
            eval_set=eval_set_id, models=list(spec.models), frontier=_frontier(spec), idempotency_key=key
        )
        # Written down before anybody waits for it: a restart waits for this run and pays for no other.
        run_id = id_of(run)
        await asyncio.to_thread(ledger.remember_eval_work, key, run_id)
        get_run_logger().info("eval run %s started on %s", run_id, eval_set_id)
        return run_id


@task(task_run_name="read {run_id}", cache_policy=NO_CACHE, **RETRIES)
async def read_eval_run(run_id: str) -> EvalRun:
    """Read a run that is over."""
    async with connected() as pareta:
        return await pareta.evals.runs.retrieve(run_id)


@task(task_run_name="wait for {run_id}", cache_policy=NO_CACHE, **RETRIES)
async def wait_for_eval_run(run_id: str, wait_s: float) -> EvalRun:
    """Wait until the run is over; a retry waits for the same run."""
    async with connected() as pareta:
        return await pareta.evals.runs.wait(run_id, poll_interval=1.0, timeout=wait_s)


async def run_comparisons(comparisons: Comparisons) -> tuple[Comparison, ...]:
    """Run the comparisons, no more at a time than their limit; give them in the order asked for."""
    results: dict[str, Comparison] = {}

    async def run(spec: ComparisonSpec) -> None:
        results[spec.name] = await run_comparison(spec, comparisons.wait_s)

    async with connected(), recorded():
        await fan_out(comparisons.comparisons, run, workers=comparisons.max_runs_in_flight)
    return tuple(results[spec.name] for spec in comparisons.comparisons)


async def run_comparison(spec: ComparisonSpec, wait_s: float) -> Comparison:
    """Score the candidates and judge them; whatever fails is this comparison's failure and nobody else's."""
    run_id = None
    try:
        eval_set_id = await prepare_eval_set(spec)
        run_id = await start_eval_run(spec, eval_set_id)
        run = await wait_for_eval_run(run_id, wait_s)
    except (ParetaError, BatchError) as error:
        comparison_failed(spec.name, error)
        return failed_comparison(spec.name, spec.task, error, run_id=run_id)
    comparison = judge(spec.name, spec.task, run)
    get_run_logger().info("%s: %s", spec.name, comparison.verdict.sentence)
    comparison_decided(comparison)
    return comparison


async def _exists(eval_set_id: str) -> bool:
    async with connected() as pareta:
        try:
            await pareta.evals.sets.retrieve(eval_set_id)
        except NotFoundError:
            return False
        return True


async def _usable(run_id: str) -> bool:
    async with connected() as pareta:
        try:
            return (await pareta.evals.runs.retrieve(run_id)).status != "failed"
        except NotFoundError:
            return False


def _frontier(spec: ComparisonSpec) -> str | list[str]:
    return spec.frontier if isinstance(spec.frontier, str) else list(spec.frontier)
