"""What became of a batch: every row and every dollar, as the flow returns it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pareta_batch.engine import Session
from pareta_batch.ledger import Tally
from pareta_batch.money import dollars, money_notes, overspent_micro_usd
from pareta_batch.rate_limit import Limits


class BatchReport(BaseModel):
    """The state of a batch when a run of it ended; money in micro-USD, rows are those of the current dataset.

    Every row is paid (settled), not paid, or unknown: a request may have been paid without its answer having come.
    """

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
    flagged: dict[str, int] = Field(
        description="Settled rows whose answer is cut at max_tokens, filtered, empty, no fit for the JSON schema "
        "(misfit), not checked against it in time (unchecked), or ended for an unknown reason (unclear)"
    )
    not_paid: int = Field(description="Rows for which certainly nothing was paid")
    unknown: int = Field(description="Rows without an answer for which a request may have been paid")
    unknown_at_most_micro_usd: int | None = Field(description="What they may have cost; None while no price is known")
    billed_unanswered: int = Field(0, description="Rows without an answer for which a reply was billed for certain")
    unanswered_micro_usd: int = Field(0, description="What replies of rows without an answer were billed")
    resent: int = Field(
        description="Answers that came after a request in doubt; a service that ignores idempotency keys billed it too"
    )
    replayed: int = Field(description="Those billed 0: paid for by an earlier request, whose receipt is lost")
    replayed_at_most_micro_usd: int | None = Field(description="What the replayed answers cost when they were given")
    billed_micro_usd: int | None = Field(description="Sum of the receipts; None when the service gives none")
    rest_micro_usd: int | None = Field(
        description="What the pending rows will roughly cost; None while no answer was billed"
    )
    superseded_micro_usd: int = Field(description="Receipts of rows that were edited or removed since")
    budget_usd: float | None = Field(None, description="The ceiling of all runs of the batch together")
    overspent_micro_usd: int | None = Field(
        None, description="Debits above the budget at most, lost answers included; None without a budget"
    )
    price_rise: float | None = Field(
        None,
        description="The dearest receipt as a multiple of what the cheapest ones told at most; None while they agree",
    )
    prompt_tokens: int
    completion_tokens: int
    tolerated_failures: float
    stopped: str | None = Field(description="Error class that ended the run early")
    stopped_message: str | None
    wall_s: float
    refused: int = Field(description="Requests of this run that the service refused because there were too many")
    limits: tuple[Limits, ...] = Field(description="What was learned of the service's limits, the latest of it")
    output: str

    @property
    def status(self) -> Literal["completed", "incomplete", "stopped"]:
        """Completed only when every row is settled or within the tolerated share of failures."""
        if self.stopped is not None:
            return "stopped"
        tolerated = self.failed <= self.tolerated_failures * self.total
        return "completed" if self.pending == 0 and tolerated else "incomplete"

    def __str__(self) -> str:
        parts = [f"{self.name}: {self.settled} of {self.total} rows settled, {self.failed} failed"]
        parts[0] += f", {self.pending} pending{self._rest()}; {self._cost()}"
        if self.unknown:
            parts.append(f"{self.unknown} unknown whether paid ({dollars(self.unknown_at_most_micro_usd)} at most)")
        if self.unanswered_micro_usd:
            parts.append(f"{dollars(self.unanswered_micro_usd)} of it for replies without a usable answer")
        counts = {**self.errors, **{f"answers {flag}": count for flag, count in self.flagged.items()}}
        parts += money_notes(self.budget_usd, self.overspent_micro_usd, self.price_rise)
        return "; ".join([*parts, *(f"{count} {name}" for name, count in sorted(counts.items()))])

    def _rest(self) -> str:
        return f" (about {dollars(self.rest_micro_usd)} more)" if self.pending and self.rest_micro_usd else ""

    def _cost(self) -> str:
        if self.billed_micro_usd is None:
            return "cost unknown"
        cost = f"{dollars(self.billed_micro_usd)} billed"
        if not self.replayed:
            return cost
        return f"{cost}, and {dollars(self.replayed_at_most_micro_usd)} at most for {self.replayed} lost receipts"


def batch_report(tally: Tally, session: Session, *, changed: int) -> BatchReport:
    """Put together what the ledger says of a batch and how this run of it ended."""
    batch, stop, limiter = session.batch, session.stop, session.gate.limiter
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
        flagged=tally.flagged,
        not_paid=tally.not_paid,
        unknown=tally.unknown,
        unknown_at_most_micro_usd=tally.unknown_at_most_micro_usd(batch.sampling.most_tokens),
        billed_unanswered=tally.billed_unanswered,
        unanswered_micro_usd=tally.unanswered_micro_usd,
        resent=tally.resent,
        replayed=tally.replayed,
        replayed_at_most_micro_usd=tally.replayed_at_most_micro_usd,
        billed_micro_usd=tally.billed_micro_usd,
        rest_micro_usd=tally.rest_micro_usd,
        superseded_micro_usd=tally.superseded_micro_usd,
        budget_usd=batch.budget_usd,
        overspent_micro_usd=overspent_micro_usd(batch, tally),
        price_rise=None if tally.prices.rise is None else round(float(tally.prices.rise), 2),
        prompt_tokens=tally.prompt_tokens,
        completion_tokens=tally.completion_tokens,
        tolerated_failures=batch.tolerated_failures,
        stopped=stop.reason if stop else None,
        stopped_message=stop.message if stop else None,
        wall_s=round(session.progress.wall_s(), 3),
        refused=limiter.refusals,
        limits=tuple(limiter.history),
        output=str(batch.output_path),
    )
