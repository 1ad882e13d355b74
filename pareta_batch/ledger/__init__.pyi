from .account_runs import AccountRuns, account_digest
from .budget_accounts import budget_of
from .group_commit import GroupCommit
from .identity import ledger_id
from .kept_quotes import Quoted, check_batch_quote, hit_rate, keep_quote
from .ledger import Ledger
from .member_spending import billed_by_shard, spent_by_member
from .member_tables import create_member_tables, member_runs, member_shards, members, stops
from .membership import (
    Membership,
    check_serves_members,
    exclude_late_claims,
    holder_of,
    join_run,
    living_members,
    stop_of,
)
from .outcomes import MAX_KEPT_CHARS, Flag, Outcome, State, Tally
from .overspending import holds_all, overspent_micro_usd, spent_micro_usd
from .owners import BATCH, record_owner
from .queries import Sample
from .schema import outputs, runs
from .selection import ALL_UNSETTLED, RowSelection
from .sharing import Sharing, distinct_rows

__all__ = [
    "ALL_UNSETTLED",
    "BATCH",
    "MAX_KEPT_CHARS",
    "AccountRuns",
    "Flag",
    "GroupCommit",
    "Ledger",
    "Membership",
    "Outcome",
    "Quoted",
    "RowSelection",
    "Sample",
    "Sharing",
    "State",
    "Tally",
    "account_digest",
    "billed_by_shard",
    "budget_of",
    "check_batch_quote",
    "check_serves_members",
    "create_member_tables",
    "distinct_rows",
    "exclude_late_claims",
    "hit_rate",
    "holder_of",
    "holds_all",
    "join_run",
    "keep_quote",
    "ledger_id",
    "living_members",
    "member_runs",
    "member_shards",
    "members",
    "outputs",
    "overspent_micro_usd",
    "record_owner",
    "runs",
    "spent_by_member",
    "spent_micro_usd",
    "stop_of",
    "stops",
]
