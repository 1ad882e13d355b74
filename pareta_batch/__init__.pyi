from .allowed_folder import confined, confined_dataset
from .answers.answer_parts import WrittenParts, complete_folder, shards_per_part, write_parts
from .answers.answers_file import write_answers
from .answers.output import write_output
from .answers.output_claims import check_known, is_ours
from .answers.whole_file import check_replaceable
from .engine.control import Controls, remote_control
from .engine.endpoint_recovery import endpoint_named, wait_until_live
from .engine.open_sessions import OpenSessions
from .engine.planning import RunPlan, check_output, register_rows
from .engine.progress import Progress, Snapshot
from .engine.row_sender import may_have_been_paid
from .engine.session import Session, open_session
from .engine.telemetry_setup import traced
from .engine.worker_pool import fan_out, gather_settled
from .errors import (
    MAX_PROBLEMS_SHOWN,
    BatchBusy,
    BatchError,
    BatchStopped,
    BatchUnknown,
    BudgetReached,
    CostUnbounded,
    DatasetError,
    EvalRunFailed,
    EventIncomplete,
    LedgerDiffers,
    LedgerError,
    ModelsUnknown,
    NotAllowed,
    Orphaned,
    OutputError,
    RowsUnanswered,
    RunnerUnavailable,
    UnexpectedError,
    error_class_named,
)
from .field_problems import InvalidOptions, checked_options, problem_lines
from .form_schema import QUESTIONS, TEXT, JsonSchema, budget_needs_max_tokens, has_question, needs
from .json_log import CONSOLE_CLASS, LOG_FORMAT, JsonLines, logs_are_json, masked, use_json_logs
from .ledger.identity import ledger_id
from .ledger.kept_quotes import Quoted, check_batch_quote, check_comparison_quote, hit_rate, keep_quote
from .ledger.ledger import Ledger
from .ledger.origins import billed_to, claim_origin, origin_of
from .ledger.outcomes import Tally
from .ledger.overspending import holds_all, spent_micro_usd
from .ledger.owners import ENDPOINT, record_owner
from .ledger.purchases import (
    Purchase,
    Spending,
    bound_micro_usd,
    mark_bought,
    release_purchase,
    reserve_purchase,
    shares,
    spending,
    unsettled,
    write_bill,
)
from .ledger.queries import NOTHING_BILLED
from .ledger.schema import eval_plans, eval_scores, eval_work, quality, quality_scores
from .ledger.selection import ALL_UNSETTLED, RowSelection
from .ledger.spend import Amounts, Wanted, spend
from .ledger.url import ledger_exists
from .members.member import Member, MemberReport, work_as_member
from .members.parent import Lead, StartMembers, lead_members
from .money.account import NO_ACCOUNT, Account
from .money.budget import MICRO_PER_USD, micro_usd
from .money.cost_range import CostQuote, CostRange
from .money.format import budget_dollars, dollars
from .money.leaderboard import LeaderboardPrices, fetch_leaderboard
from .notebook import check_frame, client_of, complete, complete_sync, opened_ledger, run_blocking
from .owner_tags import NO_TAGS, Tags, TagsField
from .quote import Quote, quote_from, quote_rows
from .rate_limit import Limits
from .report import BatchReport, batch_report
from .rows.attached_places import content_of, is_stored, root_of
from .rows.attachments import Attacher
from .rows.dataset import Dataset, Row, check_column
from .rows.frames import Table
from .rows.identity import digest, id_of
from .rows.requests import check_rows
from .rows.source import AnyDataset, Source, SourceField
from .rows.storage import base_of, folder_of
from .rows.values import plain
from .run import complete_shards, report_ledger_failure, run_with_members
from .run_context import name_run
from .runners.checks import check_runner
from .runners.job import ClientFactory, ClusterClient, KeyClient, MemberJob
from .runners.on_dask import run_on_dask
from .runners.on_ray import run_on_ray
from .runners.on_this_machine import run_on_this_machine
from .samples import SampleReport, sample_answers
from .sampling import Sampling
from .spec import Batch, BatchWork, Name
from .spec_base import ApproveAboveUsd, BudgetUsd, CredentialsName, Spec
from .terminal import progress_bar
from .user_path import LocalPath, UserPath

__all__ = [
    "ALL_UNSETTLED",
    "CONSOLE_CLASS",
    "ENDPOINT",
    "LOG_FORMAT",
    "MAX_PROBLEMS_SHOWN",
    "MICRO_PER_USD",
    "NOTHING_BILLED",
    "NO_ACCOUNT",
    "NO_TAGS",
    "QUESTIONS",
    "TEXT",
    "Account",
    "Amounts",
    "AnyDataset",
    "ApproveAboveUsd",
    "Attacher",
    "Batch",
    "BatchBusy",
    "BatchError",
    "BatchReport",
    "BatchStopped",
    "BatchUnknown",
    "BatchWork",
    "BudgetReached",
    "BudgetUsd",
    "ClientFactory",
    "ClusterClient",
    "Controls",
    "CostQuote",
    "CostRange",
    "CostUnbounded",
    "CredentialsName",
    "Dataset",
    "DatasetError",
    "EvalRunFailed",
    "EventIncomplete",
    "InvalidOptions",
    "JsonLines",
    "JsonSchema",
    "KeyClient",
    "Lead",
    "LeaderboardPrices",
    "Ledger",
    "LedgerDiffers",
    "LedgerError",
    "Limits",
    "LocalPath",
    "Member",
    "MemberJob",
    "MemberReport",
    "ModelsUnknown",
    "Name",
    "NotAllowed",
    "OpenSessions",
    "Orphaned",
    "OutputError",
    "Progress",
    "Purchase",
    "Quote",
    "Quoted",
    "Row",
    "RowSelection",
    "RowsUnanswered",
    "RunPlan",
    "RunnerUnavailable",
    "SampleReport",
    "Sampling",
    "Session",
    "Snapshot",
    "Source",
    "SourceField",
    "Spec",
    "Spending",
    "StartMembers",
    "Table",
    "Tags",
    "TagsField",
    "Tally",
    "UnexpectedError",
    "UserPath",
    "Wanted",
    "WrittenParts",
    "base_of",
    "batch_report",
    "billed_to",
    "bound_micro_usd",
    "budget_dollars",
    "budget_needs_max_tokens",
    "check_batch_quote",
    "check_column",
    "check_comparison_quote",
    "check_frame",
    "check_known",
    "check_output",
    "check_replaceable",
    "check_rows",
    "check_runner",
    "checked_options",
    "claim_origin",
    "client_of",
    "complete",
    "complete_folder",
    "complete_shards",
    "complete_sync",
    "confined",
    "confined_dataset",
    "content_of",
    "digest",
    "dollars",
    "endpoint_named",
    "error_class_named",
    "eval_plans",
    "eval_scores",
    "eval_work",
    "fan_out",
    "fetch_leaderboard",
    "folder_of",
    "gather_settled",
    "has_question",
    "hit_rate",
    "holds_all",
    "id_of",
    "is_ours",
    "is_stored",
    "keep_quote",
    "lead_members",
    "ledger_exists",
    "ledger_id",
    "logs_are_json",
    "mark_bought",
    "masked",
    "may_have_been_paid",
    "micro_usd",
    "name_run",
    "needs",
    "open_session",
    "opened_ledger",
    "origin_of",
    "plain",
    "problem_lines",
    "progress_bar",
    "quality",
    "quality_scores",
    "quote_from",
    "quote_rows",
    "record_owner",
    "register_rows",
    "release_purchase",
    "remote_control",
    "report_ledger_failure",
    "reserve_purchase",
    "root_of",
    "run_blocking",
    "run_on_dask",
    "run_on_ray",
    "run_on_this_machine",
    "run_with_members",
    "sample_answers",
    "shards_per_part",
    "shares",
    "spend",
    "spending",
    "spent_micro_usd",
    "traced",
    "unsettled",
    "use_json_logs",
    "wait_until_live",
    "work_as_member",
    "write_answers",
    "write_bill",
    "write_output",
    "write_parts",
]
