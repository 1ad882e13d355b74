"""The specification of a comparison, and the keys of its eval sets, plans and runs."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from pareta_batch import (
    NO_TAGS,
    Account,
    ApproveAboveUsd,
    BudgetUsd,
    CredentialsName,
    JsonSchema,
    LocalPath,
    Name,
    SourceField,
    Spec,
    TagsField,
    digest,
    needs,
)
from pareta_evals.rows import EvalRow

RunsInFlight = Annotated[
    int, Field(ge=1, le=100, title="Max runs in flight", description="Maximum number of concurrent eval runs")
]
RunWait = Annotated[
    float, Field(gt=0, le=86_400, title="Wait", description="Maximum wait for each eval run, in seconds")
]


_ROWS_OR_SET: JsonSchema = {
    # `rows` is a path, or a path with the options of its format.
    "anyOf": [
        {"required": [place], "properties": {place: {"type": ["string", "object"]}}} for place in ("rows", "eval_set")
    ]
}


class ComparisonSpec(Spec):
    """Candidates and baselines to score on the same rows of one task."""

    model_config = ConfigDict(title="Comparison", json_schema_extra=lambda schema: needs(schema, _ROWS_OR_SET))

    name: Name = Field(description="Names the comparison in the report and in events")
    task: str | None = Field(None, title="Task", description="Catalogue id of the task that says how to score")
    rows: SourceField | None = Field(
        None, title="Eval rows", description="Dataset (file, folder, URL) with columns input and expected"
    )
    eval_set: str | None = Field(None, title="Eval set", description="Id of an eval set that exists, instead of rows")
    prompt: str | None = Field(None, title="Prompt", description="Instruction to the models for each row")
    models: tuple[str, ...] = Field(min_length=1, title="Candidates", description="Open models to compare")
    frontier: Literal["none", "benchmarked", "all"] | tuple[str, ...] = Field(
        "benchmarked", title="Baselines", description="Frontier models to compare with: none, benchmarked, all, or ids"
    )
    baseline_max_age: timedelta = Field(
        timedelta(days=7),
        ge=timedelta(0),
        title="Reuse baselines for",
        description="Baselines scored on the same rows within this time are not bought again (P7D is a week, 0 never)",
    )
    group_column: str | None = Field(
        None,
        title="Group column",
        description="Column that groups rows (the pages of a document); a group counts as one sample",
    )
    slice_column: str | None = Field(
        None,
        title="Slice column",
        description="Column by which the report splits results (a language, a customer); it is not sent",
    )
    document_fields: tuple[str, ...] = Field(
        (),
        title="Document fields",
        description="Fields of the input with the path of an image, a PDF or audio, for tasks that read documents",
    )
    files_folder: str | None = Field(
        None,
        title="Files folder",
        description="Folder of the documents; no other file is read. By default paths begin at the folder of the rows",
    )
    margin: float = Field(
        0.02,
        ge=0,
        le=1,
        title="Margin",
        description="Accepted loss against the baseline, as a fraction (0.02 is two points)",
    )
    score_range: tuple[float, float] | None = Field(
        None,
        title="Score range",
        description="Lowest and highest score of a row, if it is not 0 to 1 ([1, 5] for a judge's grades)",
    )

    @field_validator("score_range")
    @classmethod
    def range_rises(cls, score_range: tuple[float, float] | None) -> tuple[float, float] | None:
        if score_range is None or score_range[0] < score_range[1]:
            return score_range
        low, high = score_range
        raise ValueError(f"score_range [{low:g}, {high:g}] does not rise; give the lowest score first, as in [1, 5]")

    @model_validator(mode="after")
    def rows_come_from_one_place(self) -> "ComparisonSpec":
        if (self.rows is None) == (self.eval_set is None):
            raise ValueError(f"comparison {self.name!r}: give either rows (a file) or eval_set (an id)")
        if self.rows is not None and self.task is None and self.prompt is None:
            raise ValueError(f"comparison {self.name!r}: rows need a task (or a prompt) that says what they are for")
        for field in ("group_column", "slice_column", "document_fields"):
            if getattr(self, field) and self.rows is None:
                raise ValueError(
                    f"comparison {self.name!r}: {field} names a column of rows (a file), not of an eval_set"
                )
        return self


class Comparisons(Spec):
    """Comparisons to run concurrently, and the path of their report."""

    model_config = ConfigDict(title="Comparisons")

    name: Name = Field(description="Names the run, its report and its artifacts")
    comparisons: Annotated[
        tuple[ComparisonSpec, ...], Field(min_length=1, title="Comparisons", description="At least one")
    ]
    max_runs_in_flight: RunsInFlight = 4
    wait_s: RunWait = 3600.0
    budget_usd: BudgetUsd = Field(
        None,
        description="Maximum cost in dollars of all runs of the comparisons of this name together",
    )
    report: LocalPath | None = Field(None, title="Report", description="HTML report; by default reports/NAME.html")
    tags: TagsField = NO_TAGS
    approve_above_usd: ApproveAboveUsd = None
    credentials: CredentialsName = None

    @property
    def account(self) -> Account:
        """The budget of its eval runs."""
        return Account(f"compare/{self.name}", self.budget_usd, self.tags)

    @property
    def report_path(self) -> str:
        """Path of the HTML report."""
        return self.report or f"reports/{self.name}.html"

    @model_validator(mode="after")
    def names_are_unique(self) -> "Comparisons":
        names = [comparison.name for comparison in self.comparisons]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two comparisons are named {', '.join(map(repr, twice))}")
        return self


def eval_set_key(spec: ComparisonSpec, rows: Sequence[EvalRow]) -> str:
    """Return the key of an eval set, derived from its content: task, prompt and rows."""
    return digest(["eval-set/1", spec.task, spec.prompt, list(rows)])


def eval_plan_key(spec: ComparisonSpec, eval_set_id: str, occurrence: str | None = None) -> str:
    """Return the key of a comparison's plan; `occurrence` distinguishes deliberate repetitions."""
    age = spec.baseline_max_age.total_seconds()
    return digest(["eval-plan/1", eval_set_id, list(spec.models), spec.frontier, age, occurrence])


def eval_run_key(
    eval_set_id: str, bought: Sequence[str], after: str | None = None, occurrence: str | None = None
) -> str:
    """Return the key of an eval run, derived from its eval set and its models.

    `after`: the failed run that it replaces. `occurrence`: distinguishes deliberate repetitions.
    """
    return digest(["eval-run/2", eval_set_id, list(bought), after, occurrence])
