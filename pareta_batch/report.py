"""What became of a batch: every row and every dollar, as the flow returns it."""

from dataclasses import fields
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pareta_batch.batch import Batch
from pareta_batch.errors import BatchStopped
from pareta_batch.outcomes import Tally


class BatchReport(BaseModel):
    """The state of a batch when a run of it ended."""

    model_config = ConfigDict(frozen=True)

    name: str
    model: str
    dataset: str
    total: int
    settled: int
    failed: int
    pending: int
    changed: int = Field(description="Rows whose earlier version was worked on before; they were new work")
    errors: dict[str, int] = Field(description="Failed rows by error class")
    billed_micro_usd: int | None = Field(description="What the service said it billed; None when it does not say")
    prompt_tokens: int
    completion_tokens: int
    tolerated_failures: float
    stopped: str | None = Field(description="Error class that ended the run early")
    stopped_message: str | None
    wall_s: float
    output: str

    @property
    def status(self) -> Literal["completed", "incomplete", "stopped"]:
        """Completed only when every row is settled or within the tolerated share of failures."""
        if self.stopped is not None:
            return "stopped"
        tolerated = self.failed <= self.tolerated_failures * self.total
        return "completed" if self.pending == 0 and tolerated else "incomplete"

    def __str__(self) -> str:
        tally = Tally(**self.model_dump(include={field.name for field in fields(Tally)}))
        return f"{self.name}: {tally}"


def batch_report(batch: Batch, tally: Tally, *, changed: int, stop: BatchStopped | None, wall_s: float) -> BatchReport:
    """Put together what the ledger says of a batch and how this run of it ended."""
    return BatchReport(
        name=batch.name,
        model=batch.model,
        dataset=batch.dataset,
        total=tally.total,
        settled=tally.settled,
        failed=tally.failed,
        pending=tally.pending,
        changed=changed,
        errors=tally.errors,
        billed_micro_usd=tally.billed_micro_usd,
        prompt_tokens=tally.prompt_tokens,
        completion_tokens=tally.completion_tokens,
        tolerated_failures=batch.tolerated_failures,
        stopped=stop.reason if stop else None,
        stopped_message=stop.message if stop else None,
        wall_s=round(wall_s, 3),
        output=str(batch.output_path),
    )
