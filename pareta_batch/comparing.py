"""What a person says about a comparison, and its eval work: sets made once per content, runs paid for once."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pareta_batch.batch import Name
from pareta_batch.dataset import Dataset
from pareta_batch.errors import DatasetError
from pareta_batch.identity import digest

EvalRow = dict[str, Any]  # what the service takes: any JSON value

MOST_PROBLEMS_SHOWN = 10
EXPECTED = ("expected", "expected_output")


class ComparisonSpec(BaseModel):
    """Candidates and baselines to be scored on the same rows of one task."""

    model_config = ConfigDict(title="Comparison", extra="forbid", frozen=True)

    name: Name
    task: str | None = Field(None, title="Task", description="Catalogue id of the task that says how to score")
    rows: str | None = Field(
        None, title="Eval rows", description="File (.jsonl, .csv, .parquet) with columns input and expected"
    )
    eval_set: str | None = Field(None, title="Eval set", description="Id of an eval set that exists, instead of rows")
    prompt: str | None = Field(None, title="Prompt", description="What the models are told about each row")
    models: tuple[str, ...] = Field(min_length=1, title="Candidates", description="Open models to compare")
    frontier: Literal["none", "benchmarked", "all"] | tuple[str, ...] = Field(
        "benchmarked", title="Baselines", description="Frontier models to compare with: none, benchmarked, all, or ids"
    )

    @model_validator(mode="after")
    def rows_come_from_one_place(self) -> "ComparisonSpec":
        if (self.rows is None) == (self.eval_set is None):
            raise ValueError(f"comparison {self.name!r}: give either rows (a file) or eval_set (an id)")
        if self.rows is not None and self.task is None and self.prompt is None:
            raise ValueError(f"comparison {self.name!r}: rows need a task (or a prompt) that says what they are for")
        return self


class Comparisons(BaseModel):
    """Comparisons to run at the same time, and where their report goes."""

    model_config = ConfigDict(title="Comparisons", extra="forbid", frozen=True)

    name: Name
    comparisons: Annotated[tuple[ComparisonSpec, ...], Field(min_length=1, title="Comparisons")]
    max_runs_in_flight: int = Field(4, ge=1, le=100, title="Max runs in flight", description="Most eval runs at once")
    wait_s: float = Field(
        3600.0, gt=0, le=86_400, title="Wait", description="Longest wait for one eval run, in seconds"
    )
    report: str | None = Field(None, title="Report", description="HTML report; by default reports/NAME.html")

    @property
    def report_path(self) -> str:
        """Where the HTML report goes."""
        return self.report or f"reports/{self.name}.html"

    @model_validator(mode="after")
    def names_are_unique(self) -> "Comparisons":
        names = [comparison.name for comparison in self.comparisons]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two comparisons are named {', '.join(map(repr, twice))}")
        return self


def read_eval_rows(path: str) -> list[EvalRow]:
    """Read eval rows and check that each has an input and an expected answer.

    Raises DatasetError, naming file and row.
    """
    rows: list[EvalRow] = []
    problems: list[str] = []
    for row in Dataset.open(path).rows():
        values = dict(row.values)
        if values.get("input") is None:
            problems.append(f"{row.place}: no value for 'input'; it has: {', '.join(values)}")
        if all(values.get(name) is None for name in EXPECTED):
            problems.append(f"{row.place}: no value for 'expected'; it has: {', '.join(values)}")
        rows.append(values)
    if problems:
        raise DatasetError(problems[:MOST_PROBLEMS_SHOWN], len(problems))
    return rows


def eval_set_key(spec: ComparisonSpec, rows: Sequence[EvalRow]) -> str:
    """Identify an eval set by its content: task, prompt and rows."""
    return digest(["eval-set/1", spec.task, spec.prompt, list(rows)])


def eval_run_key(spec: ComparisonSpec, eval_set_id: str, after: str | None = None, occasion: str | None = None) -> str:
    """Identify an eval run by set, candidates and baselines.

    `after` names the failed run that it replaces; `occasion` tells runs apart that are repeated on purpose.
    """
    again = [] if occasion is None else [occasion]
    return digest(["eval-run/1", eval_set_id, list(spec.models), spec.frontier, after, *again])
