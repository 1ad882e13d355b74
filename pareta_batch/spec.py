"""The specification of a batch: the parameters of `complete_batch`."""

from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from pareta_batch.answer_schema import load_schema, response_format_of
from pareta_batch.form_schema import budget_needs_max_tokens
from pareta_batch.money import unbounded
from pareta_batch.output_names import OUTPUT_FORMATS, checked_output, folder_address, page_of
from pareta_batch.owner_tags import NO_TAGS, TagsField
from pareta_batch.processes import Processes
from pareta_batch.question import Question
from pareta_batch.response_format import check_response_format, has_schema
from pareta_batch.reuse import Reuse
from pareta_batch.rows import OPENAI_BATCH, OPENAI_COLUMNS, Address, SourceField, is_openai_batch
from pareta_batch.sampling import Sampling, misspelt_fields
from pareta_batch.spec_base import ApproveAboveUsd, BudgetUsd, CredentialsName, Spec
from pareta_batch.user_path import UserPath

Name = Annotated[
    str,
    Field(
        min_length=1,
        max_length=100,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        title="Name",
        description="Names the batch in the ledger: the same name continues the same batch. Letters, digits, . _ -",
    ),
]


class BatchTarget(Spec):
    """The name of a batch and the model that answers it."""

    name: Name
    model: str = Field(
        min_length=1, title="Model", description="Id of a live endpoint (ep_…), or `auto` to let the service choose"
    )


class BatchDataset(Spec):
    """The dataset of a batch."""

    dataset: SourceField = Field(
        title="Dataset",
        description="File, folder, glob, s3:// or gs:// URL, or - for standard input; or a path with options",
    )


# The order of the bases puts the dataset before the question in Prefect's form, and the processes after it.
class BatchWork(Processes, Question, BatchDataset):
    """The dataset, the question, the sampling, and the limits of a batch."""

    model_config = ConfigDict(json_schema_extra=lambda schema: budget_needs_max_tokens(schema))

    id_column: str | None = Field(
        None, title="Id column", description="Column that identifies a row; without one, a hash of the row does"
    )
    sampling: Sampling = Field(default_factory=lambda: Sampling(), title="Sampling", description="Sampling fields")
    sampling_columns: dict[str, str] = Field(
        default_factory=dict,
        title="Sampling columns",
        description="Sampling field → column with its value in each row; a row without a value has that of `sampling`",
    )
    answer_schema: Annotated[dict[str, Any] | str | None, BeforeValidator(load_schema)] = Field(
        None,
        title="Answer schema",
        description="JSON Schema of the answers, as a mapping, a .json or .yaml file, or module:Model of pydantic; its "
        "fields become typed columns",
    )
    ask_again: int = Field(
        0,
        ge=0,
        le=5,
        title="Ask again",
        description="Times to ask again for an answer that does not fit its schema; then it is kept with a flag",
    )
    answer_columns: tuple[Literal["tool_calls", "reasoning", "logprobs"], ...] = Field(
        (), title="Answer columns", description="Parts of the replies that get their own columns"
    )
    reuse: Reuse = Field(
        default_factory=Reuse, title="Reuse", description="Rows with the same request share one answer, bought once"
    )
    shard_size: int = Field(
        500,
        ge=1,
        le=10_000,
        title="Shard size",
        description="Rows per task run; 1 shows each row as a separate task run, for small batches",
    )
    timeout_s: float = Field(
        180.0, gt=0, le=3600, title="Timeout", description="Longest wait for one answer, in seconds"
    )
    budget_usd: BudgetUsd = Field(
        None,
        description="Maximum cost in dollars of all runs of this batch together; needs sampling.max_tokens",
    )
    tolerated_failures: float = Field(
        0.0, ge=0, le=1, title="Tolerated failures", description="Share of rows that may fail in a completed batch"
    )
    output: Annotated[UserPath, AfterValidator(checked_output)] | None = Field(
        None,
        title="Output",
        description="Answers file (.csv, .jsonl or .parquet), or a folder of parts, which ends in / and may be an "
        "s3:// or gs:// URL; by default answers/NAME.jsonl",
        json_schema_extra={"pattern": rf"[^/]({'|'.join(OUTPUT_FORMATS)}|/)$".replace(".", r"\.")},
    )
    part_format: Literal["parquet", "jsonl", "csv"] = Field(
        "parquet", title="Part format", description="Format of the parts of an output folder"
    )
    part_rows: int = Field(
        100_000,
        ge=1,
        le=10_000_000,
        title="Part rows",
        description="Rows per part of an output folder, rounded up to whole shards",
    )
    output_format: Literal["columns", "openai_batch"] = Field(
        "columns",
        title="Output format",
        description="Columns of the dataset and the results, or the lines of OpenAI's batch API (.jsonl)",
    )
    tags: TagsField = NO_TAGS

    @model_validator(mode="before")
    @classmethod
    def requests_for_openai_bring_their_messages(cls, fields: object) -> object:
        if not isinstance(fields, Mapping) or not is_openai_batch(fields.get("dataset")):
            return fields
        given = {name: fields.get(name) for name in ("id_column", "messages_column")}
        return {**fields, **{name: given[name] or own for name, own in OPENAI_COLUMNS.items()}}

    @field_validator("sampling")
    @classmethod
    def sampling_leaves_the_batch_alone(cls, sampling: Sampling) -> Sampling:
        check_response_format(sampling.response_format)
        return sampling

    @model_validator(mode="after")
    def one_format_of_the_answers(self) -> "BatchWork":
        if self.answer_schema is not None and self.sampling.response_format is not None:
            raise ValueError("answer_schema and sampling.response_format both set the format; leave one of them out")
        if self.ask_again and not has_schema(self.response_format):
            raise ValueError("ask_again needs a schema that decides whether an answer fits; set answer_schema")
        return self

    @property
    def schema_of_answers(self) -> dict[str, Any] | None:
        """The answer schema as a mapping."""
        return self.answer_schema if isinstance(self.answer_schema, dict) else None

    @property
    def response_format(self) -> Any:  # any JSON value
        """The response format of every request."""
        schema = self.schema_of_answers
        return self.sampling.response_format if schema is None else response_format_of(schema)

    def request_fields(self) -> dict[str, Any]:  # the service's own fields: any JSON value
        """Return the request fields of every row: those of the sampling, and the response format."""
        own = {} if self.answer_schema is None else {"response_format": self.response_format}
        return {**self.sampling.fields(), **own}

    @field_validator("sampling_columns")
    @classmethod
    def rows_set_known_fields(cls, columns: dict[str, str]) -> dict[str, str]:
        for name in columns:
            if name in Sampling.reserved | Sampling.one_per_batch:
                raise ValueError(f"sampling_columns may not set {name}: it is one for all rows; set it in the spec")
        if wrong := misspelt_fields(columns):
            raise ValueError(wrong)
        return columns

    @model_validator(mode="after")
    def a_budget_needs_bounded_answers(self) -> "BatchWork":
        if self.budget_usd is None:
            return self
        if problems := unbounded(self.sampling.fields()):
            raise ValueError(f"{'; '.join(problems)}; leave it out, or leave budget_usd out")
        if self.sampling.most_tokens is None:
            raise ValueError("budget_usd needs sampling.max_tokens: the cost of an answer is unbounded without it")
        return self

    @model_validator(mode="after")
    def lines_for_openai_are_json_lines(self) -> "BatchWork":
        if self.output_format == OPENAI_BATCH and self.output and self.output_suffix != ".jsonl":
            step = "set part_format: jsonl" if self.output_folder else "end it in .jsonl"
            raise ValueError(f"output {self.output!r}: the output format {OPENAI_BATCH} is JSON Lines; {step}")
        return self

    @property
    def output_folder(self) -> Address | None:
        """The folder of the answers; None for an answers file."""
        return folder_address(self.output)

    @property
    def output_suffix(self) -> str:
        """The suffix of the answers file, or of each part of the folder."""
        return f".{self.part_format}" if self.output_folder else PurePath(self.output or "answers.jsonl").suffix


# The order of the bases puts name and model first in Prefect's form.
class Batch(BatchWork, BatchTarget):
    """A dataset whose rows one model answers, each once."""

    model_config = ConfigDict(title="Batch")

    approve_above_usd: ApproveAboveUsd = None
    credentials: CredentialsName = None

    @property
    def output_path(self) -> Path:
        """Path of the answers file or folder; for a folder of an object store, `answers/NAME` on this machine."""
        folder = self.output_folder
        if folder is not None:
            return Path(folder.path if folder.store == "file" else f"answers/{self.name}")
        return Path(self.output or f"answers/{self.name}.jsonl")

    @property
    def output_name(self) -> str:
        """The answers file or folder in messages."""
        return self.output if self.output_folder and self.output else str(self.output_path)

    @property
    def page_path(self) -> Path:
        """Path of the HTML report, next to the answers file or folder."""
        return page_of(self.output_name, self.name)
