"""Score models again on the same rows, and say when one of them has become worse."""

from prefect import flow, get_run_logger

from flows.outcomes import WatchReport, flow_run_here, named_outcome
from flows.parameters import Watch
from flows.spent import spent_of
from tasks import (
    check_plot,
    completed,
    drift_from,
    enter_in_history,
    plan_eval_run,
    prepare_eval_set,
    publish_history,
    quality_drifted,
    quality_unavailable,
    shared_client,
    shared_ledger,
    shared_poller,
    spent_under,
    start_eval_run,
    wait_for_eval_run,
    watch_unpaid_told,
)


@flow(name="watch-quality", flow_run_name="watch {watch.name}")
@named_outcome
async def watch_quality(watch: Watch) -> WatchReport:
    """Compare the models with themselves since the watch began.

    Emits `pareta.quality.drifted` on a drop, and `pareta.quality.unavailable` when rows have no answer.
    """
    check_plot(watch.plot_path)
    occasion = this_occasion()
    async with shared_client(), shared_ledger(), shared_poller():
        eval_set_id, rows = await prepare_eval_set(watch.comparison)
        plan = await plan_eval_run(watch.comparison, eval_set_id, occasion)
        with watch_unpaid_told(watch.name):
            run_id = await start_eval_run(watch.comparison, eval_set_id, plan, occasion, watch.account)
        run = completed(await wait_for_eval_run(run_id, watch.wait_s))
        history = await enter_in_history(watch.name, occasion, run, rows, watch.comparison.score_range)
        drift, since_last = await drift_from(watch.name, history, run, rows, watch.comparison.score_range)
    get_run_logger().info("%s: %s", watch.name, drift)
    if drift.drifted:
        quality_drifted(watch.name, drift)
    if drift.unavailable:
        quality_unavailable(watch.name, drift)
    plot = await publish_history(watch.name, history, watch.plot_path)
    spent = spent_of(await spent_under(watch.account), watch.budget_usd)
    return WatchReport(
        name=watch.name, occasion=occasion, run_id=run_id, drift=drift, since_last=since_last, plot=plot, spent=spent
    )


def this_occasion() -> str:
    """Name the occasion by the time that this flow run was due: a retry of it pays for no other eval run."""
    run = flow_run_here()
    if run is None or run.expected_start_time is None:
        raise RuntimeError("a watch is run as a flow: its time tells the occasions apart")
    return run.expected_start_time.isoformat()
