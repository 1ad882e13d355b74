from .budget_accounts import budget_of
from .group_commit import GroupCommit
from .kept_quotes import Quoted, check_batch_quote, hit_rate, keep_quote
from .ledger import Ledger
from .outcomes import MAX_KEPT_CHARS, Flag, Outcome, State, Tally
from .queries import Answered, Sample
from .schema import outputs, runs
from .selection import ALL_UNSETTLED, RowSelection

__all__ = [
    "ALL_UNSETTLED",
    "MAX_KEPT_CHARS",
    "Answered",
    "Flag",
    "GroupCommit",
    "Ledger",
    "Outcome",
    "Quoted",
    "RowSelection",
    "Sample",
    "State",
    "Tally",
    "budget_of",
    "check_batch_quote",
    "hit_rate",
    "keep_quote",
    "outputs",
    "runs",
]
