"""Parameters of the flows."""

from pathlib import PurePath
from typing import Annotated

from pydantic import ConfigDict, Field, model_validator

from flows.watch_parameters import Watch
from pareta_batch import (
    NO_TAGS,
    TEXT,
    Account,
    ApproveAboveUsd,
    Batch,
    BatchWork,
    BudgetUsd,
    CredentialsName,
    JsonSchema,
    LocalPath,
    Name,
    Spec,
    TagsField,
    budget_needs_max_tokens,
    has_question,
    needs,
)
from pareta_evals import Comparisons, ComparisonSpec, RunsInFlight, RunWait
from pareta_report import Policy

__all__ = ["Deployment", "Pipeline", "Promotion", "Watch"]

ReadyWithin = Annotated[
    float,
    Field(gt=0, le=7200, title="Ready within", description="Maximum wait until the endpoint is live, in seconds"),
]


class Deployment(Spec):
    """An endpoint to deploy or reuse."""

    model_config = ConfigDict(title="Endpoint")

    name: Name = Field(description="Name of the endpoint; an endpoint of this name and task is reused")
    task: str = Field(min_length=1, title="Task", description="Catalogue id of the endpoint's task")
    model: str = Field(
        "recommended", min_length=1, title="Model", description="`recommended`, or an alias from the task's leaderboard"
    )
    ready_within_s: ReadyWithin = 900.0
    tags: TagsField = NO_TAGS
    credentials: CredentialsName = None

    @property
    def account(self) -> Account:
        """Account of a smoke call that belongs to no pipeline and no promotion."""
        return Account(f"endpoint/{self.name}", tags=self.tags)


class Pipeline(Spec):
    """An endpoint, a batch that it answers, and comparisons of other models at the same time."""

    model_config = ConfigDict(title="Pipeline", json_schema_extra=lambda schema: _rules_of_pipeline(schema))

    name: Name = Field(description="Name of its batch and endpoint; the same name continues the same batch")
    model: str = Field(
        "recommended",
        min_length=1,
        title="Model",
        description="`recommended` or a leaderboard alias is deployed for the task; `auto` or ep_… deploys nothing",
    )
    task: str | None = Field(None, title="Task", description="Catalogue id of the task, needed to deploy")
    batch: BatchWork = Field(title="Batch", description="Rows and prompt")
    comparisons: tuple[ComparisonSpec, ...] = Field((), title="Comparisons", description="Run while the batch runs")
    max_runs_in_flight: RunsInFlight = 4
    budget_usd: BudgetUsd = Field(
        None,
        description="Maximum dollars for batch and comparisons, in all runs of this pipeline together",
    )
    truth_column: str | None = Field(
        None,
        title="Truth column",
        description="Column with the right answer, to measure the quality of the batch",
    )
    ready_within_s: ReadyWithin = 900.0
    stop_endpoint: bool = Field(
        True,
        title="Stop the endpoint",
        description="Stop the endpoint at the end, also if the run fails: a live endpoint costs money",
    )
    report: LocalPath | None = Field(None, title="Report", description="HTML report; by default reports/NAME.html")
    tags: TagsField = NO_TAGS
    approve_above_usd: ApproveAboveUsd = None
    credentials: CredentialsName = None

    @model_validator(mode="after")
    def deploying_needs_a_task(self) -> "Pipeline":
        if self.deploys and self.task is None:
            raise ValueError(f"pipeline {self.name!r}: deploying model {self.model!r} needs a task")
        return self

    @model_validator(mode="after")
    def labels_need_columns(self) -> "Pipeline":
        if self.truth_column is not None and self.batch.output_format != "columns":
            problem = f"output_format {self.batch.output_format!r} has no truth_column to compare with"
            raise ValueError(f"pipeline {self.name!r}: {problem}; leave one of them out")
        return self

    @model_validator(mode="after")
    def a_budget_needs_bounded_answers(self) -> "Pipeline":
        if self.budget_usd is not None:
            self.batch_on("auto", self.budget_usd)
        return self

    @property
    def deploys(self) -> bool:
        """Whether the pipeline deploys its own endpoint."""
        return self.model != "auto" and not self.model.startswith("ep_")

    def deployment(self) -> Deployment:
        """Return the endpoint that the pipeline deploys."""
        return Deployment(
            name=self.name,
            task=self.task or "",
            model=self.model,
            ready_within_s=self.ready_within_s,
            tags=self.tags,
            credentials=self.credentials,
        )

    def batch_on(self, model: str, budget_usd: float | None = None) -> Batch:
        """Return the batch for `model`, within the smaller of its own budget and `budget_usd`.

        It has its own tags, or else those of the pipeline.
        """
        smaller = min(filter(None, (self.batch.budget_usd, budget_usd)), default=None)
        tags = self.tags if self.batch.tags == NO_TAGS else self.batch.tags
        changes = {"budget_usd": smaller, "tags": tags, "credentials": self.credentials}
        return Batch(name=self.name, model=model, **{**self.batch.model_dump(), **changes})

    def model_comparisons(self, budget_usd: float | None = None) -> Comparisons | None:
        """Return the comparisons to run while the batch runs, within `budget_usd`; None without comparisons."""
        if not self.comparisons:
            return None
        page = PurePath(self.report_path)
        return Comparisons(
            name=f"{self.name}-models",
            comparisons=self.comparisons,
            max_runs_in_flight=self.max_runs_in_flight,
            budget_usd=budget_usd,
            report=str(page.with_name(f"{page.stem}-models.html")),
            tags=self.tags,
            credentials=self.credentials,
        )

    @property
    def account(self) -> str:
        """Account of all purchases other than the batch."""
        return f"compare/{self.name}-models"

    @property
    def report_path(self) -> str:
        """Path of the HTML report."""
        return self.report or f"reports/{self.name}.html"


class Promotion(Spec):
    """A comparison, the policy that its winner must pass, and the endpoint that serves the winner."""

    model_config = ConfigDict(title="Promotion", json_schema_extra=lambda schema: _rules_of_promotion(schema))

    name: Name = Field(description="Prefix of the name of the endpoint that serves the winner")
    comparison: ComparisonSpec = Field(title="Comparison", description="Candidates and baselines on the same rows")
    policy: Policy = Field(
        default_factory=lambda: Policy(),
        title="Policy",
        description="Conditions that a model must meet to be deployed",
    )
    wait_s: RunWait = 3600.0
    budget_usd: BudgetUsd = Field(
        None,
        description="Maximum dollars for comparisons of this name, in all runs together",
    )
    ready_within_s: ReadyWithin = 900.0
    tags: TagsField = NO_TAGS
    credentials: CredentialsName = None

    @model_validator(mode="after")
    def deploying_needs_a_task(self) -> "Promotion":
        if self.comparison.task is None:
            raise ValueError(f"promotion {self.name!r}: its comparison needs a task; set comparison.task")
        return self

    @model_validator(mode="after")
    def margin_is_one_number(self) -> "Promotion":
        loss, margin = self.policy.max_loss, self.comparison.margin
        if loss is not None and "margin" in self.comparison.model_fields_set and loss != margin:
            raise ValueError(
                f"promotion {self.name!r}: max_loss {loss:g} of the policy differs from margin {margin:g} of the"
                " comparison; set only one of them"
            )
        return self

    def comparisons(self) -> Comparisons:
        """Return the comparison to run; its margin is the policy's `max_loss`, if that is set."""
        loss = self.policy.max_loss
        spec = self.comparison if loss is None else self.comparison.model_copy(update={"margin": loss})
        return Comparisons(
            name=self.name,
            comparisons=(spec,),
            wait_s=self.wait_s,
            budget_usd=self.budget_usd,
            tags=self.tags,
            credentials=self.credentials,
        )

    def deployment_of(self, model: str) -> Deployment:
        """Return the endpoint of a winner: one per model, so that a new winner never replaces a live endpoint."""
        return Deployment(
            name=f"{self.name}-{model}",
            task=self.comparison.task or "",
            model=model,
            ready_within_s=self.ready_within_s,
            tags=self.tags,
            credentials=self.credentials,
        )


def _rules_of_pipeline(schema: JsonSchema) -> None:
    budget_needs_max_tokens(schema, "batch")
    deploys = {"model": {"not": {"pattern": "^(auto$|ep_)"}}, "batch": has_question()}
    needs(schema, {"required": ["task"], "properties": {"task": TEXT}}, deploys)


def _rules_of_promotion(schema: JsonSchema) -> None:
    complete = {"comparison": {"required": ["name", "models"]}}
    needs(schema, {"properties": {"comparison": {"required": ["task"], "properties": {"task": TEXT}}}}, complete)
