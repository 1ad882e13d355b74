"""A comparison from Python: a labelled data frame in, the decision and the table of models out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, TypedDict, Unpack

from pareta_batch import (
    Account,
    DatasetError,
    EvalRunFailed,
    Ledger,
    Table,
    check_frame,
    checked_options,
    client_of,
    digest,
    opened_ledger,
    run_blocking,
)
from pareta_evals.judging import ended_run, results_with_context, settle_bills
from pareta_evals.runner import EvalRunner
from pareta_evals.spec import ComparisonSpec
from pareta_report import Comparison, Decision, Policy, comparison_table, decide, judge


class ComparisonOptions(TypedDict, total=False):
    """The fields of a comparison as keyword arguments; `ComparisonSpec` has their meaning and bounds."""

    task: str | None
    prompt: str | None
    eval_set: str | None
    frontier: Literal["none", "benchmarked", "all"] | Sequence[str]
    baseline_max_age: timedelta
    group_column: str | None
    slice_column: str | None
    document_fields: Sequence[str]
    files_folder: str | None
    margin: float
    score_range: tuple[float, float] | None


@dataclass(frozen=True)
class Evaluation:
    """A judged comparison, and the decision of the gate."""

    comparison: Comparison
    decision: Decision

    @property
    def table(self) -> Any:  # only the report imports pandas
        """A data frame of pandas with one row per model: quality with its interval, cost, standing."""
        return comparison_table([self.comparison])

    def __str__(self) -> str:
        return f"{self.comparison.verdict.sentence} {self.decision.sentence}"


async def evaluate(
    frame: object = None,
    *,
    models: Sequence[str],
    name: str | None = None,
    input_column: str = "input",
    label_column: str = "expected",
    budget_usd: float | None = None,
    policy: Policy | None = None,
    wait_s: float = 3600.0,
    api_key: str | None = None,
    base_url: str | None = None,
    ledger: Ledger | None = None,
    **options: Unpack[ComparisonOptions],
) -> Evaluation:
    """Score models on labelled rows, and return the decision; the same rows and models again pay nothing.

    Args:
        frame: Data frame with an input and a label per row, or the path of a dataset; None with `eval_set`.
        name: Names the comparison and its budget; by default it is derived from task, prompt and models.
        input_column, label_column: Columns of a data frame. Only these, group and slice are read.
        policy: Requirements of the gate.
        wait_s: Maximum wait for the eval run in seconds; the same call again continues to wait.
        api_key, base_url, ledger: By default those of the environment.

    Raises:
        EvalRunFailed, BudgetReached, ModelsUnknown, DatasetError, ParetaError.
        InvalidOptions: An argument is not valid; nothing was paid.
    """
    spec = spec_of(frame, models, name, (input_column, label_column), dict(options))
    account = Account(f"compare/{spec.name}", budget_usd)
    async with client_of(api_key, base_url) as pareta, opened_ledger(ledger) as books:
        await settle_bills(pareta, books, account.name)
        comparison = await _compared(EvalRunner(spec, pareta, books, account=account), wait_s)
    return Evaluation(comparison, decide(comparison, policy or Policy()))


def evaluate_sync(frame: object = None, **options: Any) -> Evaluation:  # those of `evaluate`
    """Run `evaluate` and wait for its end, also where an event loop is running; the arguments are the same."""
    return run_blocking(lambda: evaluate(frame, **options))


def spec_of(
    frame: object, models: Sequence[str], name: str | None, columns: tuple[str, str], options: dict[str, Any]
) -> ComparisonSpec:
    """Return the comparison of a call of `evaluate`."""
    kept = [options.get(each) for each in ("group_column", "slice_column")]
    rows = frame if frame is None or isinstance(frame, str) else eval_table(frame, columns, [*filter(None, kept)])
    asked = [options.get("task"), options.get("prompt"), list(models), options.get("frontier")]
    fields = {**options, "rows": rows, "models": models, "name": name or f"evaluate-{digest(asked)[:16]}"}
    return checked_options(ComparisonSpec, "evaluate", fields)


def eval_table(frame: object, columns: tuple[str, str], kept: Sequence[str]) -> Table:
    """Return the rows of a data frame with the columns `input`, `expected` and those to keep. Raises DatasetError."""
    check_frame(frame)
    content = Table.of(frame).content
    for column in (*columns, *kept):
        if column not in content.column_names:
            raise DatasetError([f"table has no column {column!r}; it has: {', '.join(content.column_names)}"])
    others = [column for column in dict.fromkeys(kept) if column not in ("input", "expected")]
    named = content.select([*columns, *others])
    return Table(named.rename_columns(["input", "expected", *others]))


async def _compared(work: EvalRunner, wait_s: float) -> Comparison:
    rows = await work.rows()
    eval_set_id = await work.eval_set(rows)
    plan = await work.plan(eval_set_id)
    run_id = await work.run(eval_set_id, plan)
    run, context = await results_with_context(
        work, await ended_run(work.pareta, work.ledger, run_id, wait_s), plan, rows
    )
    if run.status != "completed":
        raise EvalRunFailed(run_id, run.error_detail or f"its status is {run.status!r}")
    return judge(work.spec.name, work.spec.task, run, context)
