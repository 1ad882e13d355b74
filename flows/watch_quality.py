"""Flow that scores models again on the same rows, and reports a drop in quality."""

from datetime import UTC, datetime
from typing import Annotated

from flows.bounds import BoundsForm, admit
from flows.direct import flow
from flows.forms import OfDeployment, titled
from flows.outcomes import named_outcome
from flows.parameters import Watch
from flows.reports import WatchReport
from flows.spent import spent_of
from pareta_batch import traced
from tasks import (
    announce_unpaid_watch,
    append_history,
    check_plot,
    completed,
    current_flow_run,
    drift_from,
    plan_eval_run,
    prepare_eval_set,
    publish_history,
    quality_drifted,
    quality_unavailable,
    run_logger,
    shared_client,
    shared_ledger,
    spent_under,
    start_eval_run,
    tag_run,
    wait_for_eval_run,
    work_lock,
)


@flow(name="watch-quality", flow_run_name="watch {watch.name}")
@named_outcome
async def watch_quality(
    watch: Annotated[Watch, OfDeployment("watch"), titled("Watch")], bounds: BoundsForm = None
) -> WatchReport:
    """Compare the scores of the models with their scores since the first run of the watch.

    Emits `pareta.quality.drifted` on a drop, and `pareta.quality.unavailable` if rows have no answer.

    Args:
        watch: Models and rows to score again. Fields that are not set are those of the deployment.
        bounds: Files and dollars of a deployment that events start. None for other deployments.
    """
    watch = admit(watch, bounds)
    check_plot(watch.plot_path)
    await tag_run(watch=watch.name)
    with traced("watch", watch.name, watch.tags) as span:
        report = await _watch_once(watch, current_occurrence())
        span |= {"pareta.eval_run": report.run_id, "pareta.drifted": bool(report.drift.drifted)}
        if report.spent is not None:
            span["pareta.billed_micro_usd"] = report.spent.this_run_micro_usd
    return report


async def _watch_once(watch: Watch, occurrence: str) -> WatchReport:
    async with shared_client(), shared_ledger(), work_lock("watch", watch.name):
        before = await spent_under(watch.account)
        eval_set_id, rows = await prepare_eval_set(watch.comparison)
        plan = await plan_eval_run(watch.comparison, eval_set_id, occurrence)
        with announce_unpaid_watch(watch.name):
            run_id = await start_eval_run(watch.comparison, eval_set_id, plan, occurrence, watch.account)
        run = completed(await wait_for_eval_run(run_id, watch.wait_s))
        history = await append_history(watch.name, occurrence, run, rows, watch.comparison.score_range)
        drift, since_last = await drift_from(watch.name, history, run, rows, watch.comparison.score_range)
    run_logger().info("%s: %s", watch.name, drift)
    spent = spent_of(await spent_under(watch.account), watch.budget_usd, before)
    if drift.drifted:
        quality_drifted(watch.name, drift, spent.this_run_micro_usd)
    if drift.unavailable:
        quality_unavailable(watch.name, drift)
    plot = await publish_history(watch.name, history, watch.plot_path)
    return WatchReport(
        name=watch.name, occasion=occurrence, run_id=run_id, drift=drift, since_last=since_last, plot=plot, spent=spent
    )


def current_occurrence() -> str:
    """Return the scheduled time of this flow run as the occurrence: a retry then buys no second eval run.

    Outside a flow run it is the present time.
    """
    run = current_flow_run()
    scheduled = run.expected_start_time if run else None
    return (scheduled or datetime.now(UTC)).isoformat()
