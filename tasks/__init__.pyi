from .artifacts import measure_quality, publish_batch, publish_comparisons, publish_page, publish_summary
from .batches import (
    build_report,
    check_dataset,
    complete_shards,
    plan_retry,
    quote_batch,
    register_batch,
    write_answers_file,
)
from .budgets import comparison_account, reserve_smoke_call, share_budget
from .credentials import ParetaCredentials, make_client, save_credentials, use_credentials
from .direct import NEEDS_API, run_logger, task, uses_prefect
from .endpoint_slots import limit_name
from .endpoints import deploy_or_reuse, find_endpoint, smoke_call, stop_endpoint, wait_until_live
from .evals import (
    completed,
    plan_eval_run,
    prepare_eval_set,
    run_comparisons,
    spent_under,
    start_eval_run,
    wait_for_eval_run,
)
from .events import announce_unpaid_watch, quality_drifted, quality_unavailable
from .files import check_page, check_plot, check_report
from .idle_endpoints import read_activity, save_activity
from .idle_policy import IdlePolicy
from .locks import check_batch_is_free, work_lock
from .progress import watcher
from .report_address import address_of
from .resources import open_sending_session, shared_client, shared_ledger
from .retries import RETRIED, RETRIES
from .tags import tag_run
from .watching import append_history, drift_from, publish_history
from .worker_records import check_worker

__all__ = [
    "NEEDS_API",
    "RETRIED",
    "RETRIES",
    "IdlePolicy",
    "ParetaCredentials",
    "address_of",
    "announce_unpaid_watch",
    "append_history",
    "build_report",
    "check_batch_is_free",
    "check_dataset",
    "check_page",
    "check_plot",
    "check_report",
    "check_worker",
    "comparison_account",
    "complete_shards",
    "completed",
    "deploy_or_reuse",
    "drift_from",
    "find_endpoint",
    "limit_name",
    "make_client",
    "measure_quality",
    "open_sending_session",
    "plan_eval_run",
    "plan_retry",
    "prepare_eval_set",
    "publish_batch",
    "publish_comparisons",
    "publish_history",
    "publish_page",
    "publish_summary",
    "quality_drifted",
    "quality_unavailable",
    "quote_batch",
    "read_activity",
    "register_batch",
    "reserve_smoke_call",
    "run_comparisons",
    "run_logger",
    "save_activity",
    "save_credentials",
    "share_budget",
    "shared_client",
    "shared_ledger",
    "smoke_call",
    "spent_under",
    "start_eval_run",
    "stop_endpoint",
    "tag_run",
    "task",
    "use_credentials",
    "uses_prefect",
    "wait_for_eval_run",
    "wait_until_live",
    "watcher",
    "work_lock",
    "write_answers_file",
]
