"""Where every row and every dollar of a batch went, line by line."""

from collections.abc import Iterator
from dataclasses import dataclass

from pareta_report.batch.sources import BatchFacts
from pareta_report.render import money


@dataclass(frozen=True, slots=True)
class Line:
    """Rows of one kind, where they are counted, and the dollars for them; a `part` is one of the line above it."""

    what: str
    rows: int | None
    dollars: str = ""
    part: bool = False


def account(batch: BatchFacts) -> tuple[Line, ...]:
    """Account for a batch: its rows as answered, failed or pending, what each kind cost, and what is not known."""
    return (*_answered(batch), *_failed(batch), *_pending(batch), *_unanswered(batch), *_besides(batch))


def _answered(batch: BatchFacts) -> Iterator[Line]:
    yield Line("answered", batch.settled, money(batch.billed_micro_usd) + " billed")
    for flag, rows in sorted(batch.flagged.items()):
        yield Line(f"flagged {flag}: kept, and not bought again", rows, part=True)
    if batch.resent:
        yield Line("sent again after a request whose answer never came", batch.resent, part=True)
    if batch.replayed:
        lost = f"{money(batch.replayed_at_most_micro_usd)} at most"
        yield Line("billed nothing: paid for by a request whose receipt is lost", batch.replayed, lost, part=True)


def _failed(batch: BatchFacts) -> Iterator[Line]:
    yield Line("failed", batch.failed)
    for error, rows in sorted(batch.errors.items()):
        yield Line(error, rows, part=True)


def _pending(batch: BatchFacts) -> Iterator[Line]:
    to_come = f"about {money(batch.rest_micro_usd)} to come" if batch.pending and batch.rest_micro_usd else ""
    yield Line("pending", batch.pending, to_come)


def _unanswered(batch: BatchFacts) -> Iterator[Line]:
    if batch.not_paid:
        yield Line("without an answer, and certainly not paid", batch.not_paid)
    if batch.billed_unanswered or batch.unanswered_micro_usd:
        billed = f"{money(batch.unanswered_micro_usd)} of what was billed"
        yield Line("without an answer, and billed: every reply was unusable", batch.billed_unanswered, billed)
    if batch.unknown:
        most = f"{money(batch.unknown_at_most_micro_usd)} at most"
        yield Line("without an answer, and perhaps paid: a request's answer never came", batch.unknown, most)


def _besides(batch: BatchFacts) -> Iterator[Line]:
    if batch.changed or batch.superseded_micro_usd:
        spent = money(batch.superseded_micro_usd) + " billed besides" if batch.superseded_micro_usd else ""
        yield Line("edited or removed since they were worked on", batch.changed or None, spent)
    if batch.price_rise is not None:
        yield Line(
            f"the price changed: the dearest receipt is {batch.price_rise:g} times what the cheapest allow", None
        )
    if batch.overspent_micro_usd:
        yield Line(
            f"above the budget of {money(1_000_000 * (batch.budget_usd or 0.0))}",
            None,
            f"{money(batch.overspent_micro_usd)} at most",
        )
    if batch.refused:
        yield Line(f"{batch.refused:,} requests of this run refused as too many, and sent again later", None)
