"""The report of a batch's run: row counts and costs, as the flow returns them."""

from typing import Literal

from pydantic import Field

from pareta_batch.engine import Session
from pareta_batch.ledger import Tally, distinct_rows, overspent_micro_usd
from pareta_batch.members import Lead
from pareta_batch.money import dollars, money_notes
from pareta_batch.output_names import page_of
from pareta_batch.plurals import quantity
from pareta_batch.rate_limit import Limits
from pareta_batch.run_counts import RunCounts, run_counts
from pareta_batch.spec_base import Frozen

OF_TALLY = (
    *("total", "settled", "failed", "pending", "errors", "flagged", "not_paid", "unknown", "billed_unanswered"),
    *("unanswered_micro_usd", "resent", "replayed", "replayed_at_most_micro_usd", "billed_micro_usd", "rest_micro_usd"),
    *("superseded_micro_usd", "asked_again", "asked_again_micro_usd", "prompt_tokens", "completion_tokens"),
    *("reused", "copied", "saved_micro_usd"),
)
"""Fields of the report that the tally has under the same name."""


class BatchReport(Frozen):
    """The state of a batch at the end of a run; money in micro-USD, rows of the current dataset.

    Every row is paid (settled), not paid, or unknown: a request may have been paid although its answer was not
    received.
    """

    name: str
    model: str
    dataset: str
    total: int
    settled: int
    failed: int
    pending: int
    changed: int = Field(description="Rows whose earlier version was worked on before; they count as new work")
    errors: dict[str, int] = Field(description="Failed rows by error class")
    flagged: dict[str, int] = Field(
        description="Settled rows whose answer is cut at max_tokens, filtered, empty, no fit for the JSON schema "
        "(misfit), not checked against it in time (unchecked), or ended for an unknown reason (unclear)"
    )
    not_paid: int = Field(description="Rows for which certainly nothing was paid")
    unknown: int = Field(description="Rows without an answer for which a request may have been paid")
    unknown_at_most_micro_usd: int | None = Field(description="Upper bound of their cost; None while no price is known")
    billed_unanswered: int = Field(0, description="Rows without an answer for which a reply was billed")
    unanswered_micro_usd: int = Field(0, description="Receipts for replies without a usable answer")
    resent: int = Field(
        description="Answers after a request in doubt; a service that ignores idempotency keys billed both"
    )
    replayed: int = Field(
        description="Resent answers with a receipt of 0: paid by an earlier request, whose receipt is lost"
    )
    replayed_at_most_micro_usd: int | None = Field(
        description="Upper bound of the original cost of the replayed answers"
    )
    billed_micro_usd: int | None = Field(description="Sum of the receipts; None without a receipt")
    rest_micro_usd: int | None = Field(
        description="Estimated cost of the pending rows; None while no answer was billed"
    )
    superseded_micro_usd: int = Field(description="Receipts of rows that were edited or removed since")
    budget_usd: float | None = Field(None, description="Ceiling of the cost of all runs of the batch together")
    overspent_micro_usd: int | None = Field(
        None, description="Upper bound of the debits above the budget, with lost answers; None without a budget"
    )
    price_rise: float | None = Field(
        None,
        description="The highest receipt as a multiple of its price bound from cheaper ones; None if none exceeds it",
    )
    asked_again: int = Field(0, description="Rows that were asked again because an answer did not fit the schema")
    asked_again_micro_usd: int = Field(0, description="Receipts of the second and later turns, part of the bill")
    distinct: int | None = Field(None, description="Rows with a request of their own; the others share their answer")
    reused: int = Field(0, description="Rows with an answer of another batch of the ledger")
    copied: int = Field(0, description="Answers of other rows or batches, billed with 0; `notes` names their source")
    saved_micro_usd: int = Field(0, description="Receipts of the copied answers, which were not paid again")
    prompt_tokens: int
    completion_tokens: int
    tolerated_failures: float
    stopped: str | None = Field(description="Error class that ended the run early")
    stopped_message: str | None
    wall_s: float
    refused: int = Field(description="Requests of this run that the service refused for its rate limit")
    limits: tuple[Limits, ...] = Field(description="The latest learned limits of the service")
    output: str
    this_run: RunCounts | None = Field(None, description="Counts of the run that made this report")

    @property
    def page(self) -> str:
        """The path of the HTML page of the batch."""
        return str(page_of(self.output, self.name))

    @property
    def status(self) -> Literal["completed", "incomplete", "stopped"]:
        """`completed` only if no row is pending and the failures are within the tolerated share."""
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
        if self.asked_again:
            parts.append(
                f"{quantity(self.asked_again, 'row')} asked again, for {dollars(self.asked_again_micro_usd)} of it"
            )
        parts += self._shared()
        parts += money_notes(self.budget_usd, self.overspent_micro_usd, self.price_rise)
        parts += [f"{count} {error}" for error, count in sorted(self.errors.items())]
        return "; ".join([*parts, *(f"{quantity(of, 'answer')} {flag}" for flag, of in sorted(self.flagged.items()))])

    def _rest(self) -> str:
        return f" (about {dollars(self.rest_micro_usd)} more)" if self.pending and self.rest_micro_usd else ""

    def _shared(self) -> list[str]:
        copies = 0 if self.distinct is None else self.total - self.distinct
        parts = [distinct_rows(self.total, copies)] if copies else []
        parts += [f"{quantity(self.reused, 'row')} with an answer of another batch"] if self.reused else []
        return [*parts, f"saved {dollars(self.saved_micro_usd)}"] if self.saved_micro_usd else parts

    def _cost(self) -> str:
        if self.billed_micro_usd is None:
            return "cost unknown"
        cost = f"{dollars(self.billed_micro_usd)} billed"
        if not self.replayed:
            return cost
        return f"{cost}, and {dollars(self.replayed_at_most_micro_usd)} at most for {self.replayed} lost receipts"


def batch_report(tally: Tally, session: Session | Lead, *, changed: int) -> BatchReport:
    """Return the report from the ledger's tally and this run's session, or the parent of its members."""
    batch, stop = session.batch, session.stop
    return BatchReport(
        **{name: getattr(tally, name) for name in OF_TALLY},
        name=batch.name,
        model=batch.model,
        dataset=str(batch.dataset),
        changed=changed,
        unknown_at_most_micro_usd=tally.unknown_at_most_micro_usd(batch.sampling.most_tokens),
        budget_usd=batch.budget_usd,
        overspent_micro_usd=overspent_micro_usd(batch, tally),
        price_rise=None if tally.prices.rise is None else round(float(tally.prices.rise), 2),
        distinct=tally.total - tally.copies,
        tolerated_failures=batch.tolerated_failures,
        stopped=stop.reason if stop else None,
        stopped_message=stop.message if stop else None,
        wall_s=round(session.progress.wall_s(), 3),
        refused=session.refused,
        limits=tuple(session.limits),
        output=batch.output_name,
        this_run=run_counts(session.progress),
    )
