"""Errors of a batch: those raised before anything is sent, and those that end a run early.

    BatchError
    ├── DatasetError       the file, a row or the prompt is invalid; nothing was sent
    ├── ModelsUnknown      a comparison names unknown models; nothing was sent
    ├── EvalRunFailed      an eval run failed at the service; the next run makes a new one
    ├── OutputError        the answers file cannot be written
    ├── LedgerError        the ledger cannot be read or written; nothing more is sent
    ├── LedgerDiffers      an earlier run of the batch used another ledger; nothing was sent
    ├── RunnerUnavailable  a runner that is not installed, or lacks its server; nothing was sent
    ├── BatchUnknown       the ledger has no batch of that name
    ├── ApprovalNeeded     a cost above `approve_above_usd` without an approval; nothing was sent
    ├── NotAllowed         a deployment's bounds exclude a file, a batch or a cost
    │   └── EventIncomplete    the event that started the run lacks a field
    ├── BatchBusy          another run holds the batch; wait for it or stop it
    ├── Orphaned           the run of a member has ended; the member sends nothing more
    ├── UnexpectedError    an unexpected exception in the engine; nothing more is sent
    ├── BudgetReached      the budget left is too small for an eval run; it was not bought
    ├── CostUnbounded      the cost of a model cannot be bounded; nothing was bought
    ├── BatchStopped       the batch ended early (credit, key, model, budget, cancelled); paid answers are kept
    └── RowsUnanswered     rows of a shard failed with transient errors; a later attempt may succeed

Each class is picklable.
"""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from pareta_client import APIStatusError, ParetaError, Verdict, verdict_of

MAX_PROBLEMS_SHOWN = 10
"""Problems of a dataset in one message; higher makes longer messages."""

MAX_TEXT_CHARS = 2_000
"""Characters of an exception's text in a message; higher makes longer messages."""


def shown(error: BaseException) -> str:
    """Return the text of an exception, shortened; never raises."""
    try:
        text = str(error)
    except Exception as broken:  # noqa: BLE001 - an exception without a text must be reported too
        text = f"its text raises {type(broken).__name__}"
    return text if len(text) <= MAX_TEXT_CHARS else text[: MAX_TEXT_CHARS - 1] + "…"


REQUEST_REFUSED = "RequestRefused"
"""Stop reason of a status that no retry can change and that has no error class: a redirect, 405, 407, 410."""


def stop_reason(error: BaseException) -> str:
    """Return the stop reason of an error: `RequestRefused`, or the name of its class."""
    if type(error) is APIStatusError and verdict_of(error) is Verdict.FATAL_TO_BATCH:
        return REQUEST_REFUSED
    return type(error).__name__


def error_class_named(reason: str) -> type[Exception] | None:
    """Return the error class of a stop reason; None if the reason is not an error class."""
    classes = (each for base in (ParetaError, BatchError) for each in _with_subclasses(base))
    return next((each for each in classes if each.__name__ == reason), None)


def _with_subclasses(error: type[Exception]) -> Iterator[type[Exception]]:
    yield error
    for each in error.__subclasses__():
        yield from _with_subclasses(each)


class BatchError(Exception):
    """Base class of the errors of a batch that its owner can act on."""


class DatasetError(BatchError):
    """An invalid dataset or prompt; each of `problems` names its file and row."""

    def __init__(self, problems: Sequence[str], total: int | None = None) -> None:
        self.problems = tuple(problems)
        self.total = len(self.problems) if total is None else total
        more = self.total - len(self.problems)
        lines = [*self.problems, f"… and {more} more"] if more > 0 else self.problems
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[type["DatasetError"], tuple[tuple[str, ...], int]]:
        return (type(self), (self.problems, self.total))


class ModelsUnknown(BatchError):
    """Candidates or baselines that are unknown to `where` (a leaderboard, a roster); `known` are its models."""

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


class LedgerDiffers(BatchError):
    """A batch whose earlier run on a worker used another ledger: this run would send its answered rows again."""


class RunnerUnavailable(BatchError):
    """A runner whose package is not installed, or that lacks its server; nothing was sent."""


class BatchUnknown(BatchError):
    """A batch `name` that the ledger does not have; `known` are its batches."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name = name
        self.known = tuple(known)
        super().__init__(name, known)

    def __str__(self) -> str:
        close = get_close_matches(self.name, self.known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return f"the ledger has no batch {self.name!r}{hint}; it has: {', '.join(self.known) or 'none'}"


class UnexpectedError(BatchError):
    """An unexpected exception of class `kind` in the part `where` of the engine."""

    def __init__(self, where: str, kind: str, text: str) -> None:
        self.where = where
        self.kind = kind
        self.text = text
        super().__init__(where, kind, text)

    @classmethod
    def of(cls, error: BaseException, where: str) -> "UnexpectedError":
        """Return the error for an exception; an UnexpectedError is returned unchanged."""
        return error if isinstance(error, cls) else cls(where, type(error).__name__, shown(error))

    def __str__(self) -> str:
        return f"{self.where}: {self.kind}: {self.text or 'no message'}"


class NotAllowed(BatchError):
    """A file, a batch or a cost outside the bounds of a deployment; nothing was sent."""


class EventIncomplete(NotAllowed):
    """An event without a field that its deployment needs; nothing was sent."""


class BatchBusy(BatchError):
    """A batch that another run, `owner`, holds; two runs would send the same rows.

    `batch`: the name of a batch, or kind and name of other work, as in `pipeline:tickets`.
    """

    def __init__(self, batch: str, owner: str) -> None:
        self.batch = batch
        self.owner = owner
        super().__init__(batch, owner)

    @property
    def what(self) -> str:
        """Kind and name of the work."""
        kind, colon, name = self.batch.partition(":")
        return f"{kind} {name!r}" if colon else f"batch {self.batch!r}"

    def __str__(self) -> str:
        return f"{self.what} is being worked on by {self.owner}: wait until that run ends, or stop it"


class Orphaned(BatchError):
    """A member of a run whose parent has ended; the next run of the batch sends what is missing."""


class BudgetReached(BatchError):
    """A purchase that exceeds the remaining budget; nothing was bought."""


class CostUnbounded(BatchError):
    """A purchase with `models` without a listed cost, which a budget cannot bound; nothing was bought."""

    def __init__(self, what: str, models: Sequence[str]) -> None:
        self.what = what
        self.models = tuple(models)
        super().__init__(what, self.models)

    def __str__(self) -> str:
        named = ", ".join(map(repr, self.models))
        return f"{self.what}: the cost of {named} is not listed, so budget_usd cannot bound it; leave one of them out"


class BatchStopped(BatchError):
    """The end of a run before all rows were sent.

    `reason`: the class name of an error, `RequestRefused`, `BudgetReached`, `Interrupted` or `Cancelled`.
    `answers` and `report`: the frame with the answers so far, and the report of the batch; only `complete` sets them.
    """

    answers: object = None
    report: object = None

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        self.message = message
        super().__init__(reason, message)

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


class RowsUnanswered(BatchError):
    """Rows of a shard, `count` of them, that failed with a transient error; `reason` is the last error's class name."""

    def __init__(self, shard: int, count: int, reason: str, message: str) -> None:
        self.shard = shard
        self.count = count
        self.reason = reason
        self.message = message
        super().__init__(shard, count, reason, message)

    def __str__(self) -> str:
        return f"shard {self.shard}: unanswered rows: {self.count}, last {self.reason}: {self.message}"
