"""What can be wrong with a batch before anything is sent, and what ends it early.

BatchError
├── DatasetError       the file, a row or the prompt does not fit; nothing was sent
├── ModelsUnknown      a comparison names models that the service does not have; nothing was sent
├── EvalRunFailed      the service could not carry out an eval run; the next run is a new one
├── OutputError        the answers file cannot be written
├── LedgerError        the ledger cannot be read or written; nothing more is sent
├── BatchUnknown       the ledger has no batch of that name
├── NotAllowed         the bounds of a deployment that events start exclude a file, a batch or a cost
├── BatchBusy          another run works on the batch; wait for it or stop it
├── UnexpectedError    an exception that no part of the engine expects; nothing more is sent
├── BudgetReached      an eval run does not fit in what is left of the budget; it was not bought
├── CostUnbounded      a budget cannot bound what a model costs; nothing was bought
├── BatchStopped       the whole batch ended early (credit, key, model, budget, cancelled); what was paid is kept
└── RowsUnanswered     some rows of a shard failed in a way that may pass; a later attempt may answer them
"""

from collections.abc import Sequence
from difflib import get_close_matches

MOST_PROBLEMS_SHOWN = 10
"""Of what is wrong with a dataset: the first few tell how to mend the rest."""


MOST_SHOWN = 2_000
"""Characters of an exception's text in a message: a longer text hides the rest of the message."""


def shown(error: BaseException) -> str:
    """Return the text of an exception, shortened; never raises."""
    try:
        text = str(error)
    except Exception as broken:  # noqa: BLE001 - an exception whose text cannot be made is reported all the same
        text = f"its text raises {type(broken).__name__}"
    return text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 1] + "…"


class BatchError(Exception):
    """Something about a batch that its owner can act on."""


class DatasetError(BatchError):
    """A dataset that cannot be turned into requests; `problems` says each reason with its file and row."""

    def __init__(self, problems: Sequence[str], total: int | None = None) -> None:
        self.problems = tuple(problems)
        self.total = len(self.problems) if total is None else total
        more = self.total - len(self.problems)
        lines = [*self.problems, f"… and {more} more"] if more > 0 else self.problems
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[type["DatasetError"], tuple[tuple[str, ...], int]]:
        return (type(self), (self.problems, self.total))


class ModelsUnknown(BatchError):
    """Candidates or baselines that do not exist `where` (a leaderboard, a roster); `known` are those that do."""

    def __init__(self, models: Sequence[str], known: Sequence[str], where: str) -> None:
        self.models = tuple(models)
        self.known = tuple(known)
        self.where = where
        super().__init__(self.models, self.known, where)

    def __str__(self) -> str:
        named = ", ".join(map(repr, self.models))
        are = "is" if len(self.models) == 1 else "are"
        return f"{named} {are} not on {self.where}, which has: {', '.join(self.known)}"


class EvalRunFailed(BatchError):
    """An eval run that ended at the service without scores."""

    def __init__(self, run_id: str, detail: str) -> None:
        self.run_id = run_id
        self.detail = detail
        super().__init__(run_id, detail)

    def __str__(self) -> str:
        return f"eval run {self.run_id} failed: {self.detail}"


class OutputError(BatchError):
    """An answers file that cannot be written."""


class LedgerError(BatchError):
    """A ledger that cannot be opened, read or written, or whose lock was lost.

    `disconnected`: the connection to the database broke or could not be made; a later attempt may succeed.
    """

    def __init__(self, message: str, *, disconnected: bool = False) -> None:
        self.disconnected = disconnected
        super().__init__(message)


class BatchUnknown(BatchError):
    """A batch `name` that the ledger does not have; `known` are those that it has."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name = name
        self.known = tuple(known)
        super().__init__(name, known)

    def __str__(self) -> str:
        close = get_close_matches(self.name, self.known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return f"the ledger has no batch {self.name!r}{hint}; it has: {', '.join(self.known) or 'none'}"


class UnexpectedError(BatchError):
    """An exception of class `kind` that no part of the engine expects; `where` names the part."""

    def __init__(self, where: str, kind: str, text: str) -> None:
        self.where = where
        self.kind = kind
        self.text = text
        super().__init__(where, kind, text)

    @classmethod
    def of(cls, error: BaseException, where: str) -> "UnexpectedError":
        """Return the error for an exception; one that has a place already keeps it."""
        return error if isinstance(error, cls) else cls(where, type(error).__name__, shown(error))

    def __str__(self) -> str:
        return f"{self.where}: {self.kind}: {self.text or 'no message'}"


class NotAllowed(BatchError):
    """A file, a batch or a cost that the bounds of a deployment exclude; nothing was sent."""


class BatchBusy(BatchError):
    """Another run, `owner`, works on `batch`: two would send the same rows."""

    def __init__(self, batch: str, owner: str) -> None:
        self.batch = batch
        self.owner = owner
        super().__init__(batch, owner)

    def __str__(self) -> str:
        return f"batch {self.batch!r} is being worked on by {self.owner}: wait until that run ends, or stop it"


class BudgetReached(BatchError):
    """A purchase that does not fit in what is left of a budget; nothing was bought."""


class CostUnbounded(BatchError):
    """A purchase with `models` whose cost is not listed, so that a budget cannot bound it; nothing was bought."""

    def __init__(self, what: str, models: Sequence[str]) -> None:
        self.what = what
        self.models = tuple(models)
        super().__init__(what, self.models)

    def __str__(self) -> str:
        named = ", ".join(map(repr, self.models))
        return f"{self.what}: the cost of {named} is not listed, so budget_usd cannot bound it; leave one of them out"


class BatchStopped(BatchError):
    """No further row is sent for one `reason`: an error's class name, `BudgetReached`, `Interrupted` or `Cancelled`."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        self.message = message
        super().__init__(reason, message)

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


class RowsUnanswered(BatchError):
    """`count` rows of a shard are unanswered for a `reason` (an error's class name) that may pass."""

    def __init__(self, shard: int, count: int, reason: str, message: str) -> None:
        self.shard = shard
        self.count = count
        self.reason = reason
        self.message = message
        super().__init__(shard, count, reason, message)

    def __str__(self) -> str:
        return f"shard {self.shard}: {self.count} rows unanswered, last {self.reason}: {self.message}"
