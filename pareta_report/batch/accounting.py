"""The account of a batch: rows and cost by outcome."""

from collections.abc import Iterator
from dataclasses import dataclass

from pareta_batch import BatchReport, budget_dollars, dollars


@dataclass(frozen=True, slots=True)
class Line:
    """Rows of one outcome and their cost; a `part` is a share of the line above it."""

    what: str
    rows: int | None
    dollars: str = ""
    part: bool = False


def account(batch: BatchReport, purchases_micro_usd: int | None = None) -> tuple[Line, ...]:
    """Return the rows by outcome (answered, failed, pending) with their cost, and the costs that are uncertain.

    Args:
        purchases_micro_usd: Cost of the eval runs and smoke calls beside the batch; None without them.
    """
    rows = (*_answered(batch), *_failed(batch), *_pending(batch), *_unanswered(batch), *_other(batch))
    return (*rows, *_purchases(batch, purchases_micro_usd))


def _answered(batch: BatchReport) -> Iterator[Line]:
    yield Line("answered", batch.settled, dollars(batch.billed_micro_usd) + " billed")
    for flag, rows in sorted(batch.flagged.items()):
        yield Line(f"flagged {flag}: kept, not requested again", rows, part=True)
    if batch.asked_again:
        spent = dollars(batch.asked_again_micro_usd) + " of the billed amount"
        yield Line("asked again: the first answer did not fit the schema", batch.asked_again, spent, part=True)
    if batch.copied:
        saved = f"{dollars(batch.saved_micro_usd)} saved"
        yield Line("billed $0: the answer of an equal request, see notes", batch.copied, saved, part=True)
    if batch.resent:
        yield Line("answered after an earlier request without a response", batch.resent, part=True)
    if batch.replayed:
        lost = _at_most(batch.replayed_at_most_micro_usd)
        yield Line("billed $0: paid by an earlier request whose receipt is lost", batch.replayed, lost, part=True)


def _failed(batch: BatchReport) -> Iterator[Line]:
    yield Line("failed", batch.failed)
    for error, rows in sorted(batch.errors.items()):
        yield Line(error, rows, part=True)


def _pending(batch: BatchReport) -> Iterator[Line]:
    expected = f"about {dollars(batch.rest_micro_usd)} expected" if batch.pending and batch.rest_micro_usd else ""
    yield Line("pending", batch.pending, expected)


def _unanswered(batch: BatchReport) -> Iterator[Line]:
    if batch.not_paid:
        yield Line("without an answer, not billed", batch.not_paid)
    if batch.billed_unanswered or batch.unanswered_micro_usd:
        billed = f"{dollars(batch.unanswered_micro_usd)} of the billed amount"
        yield Line("without an answer, billed: every reply was unusable", batch.billed_unanswered, billed)
    if batch.unknown:
        most = _at_most(batch.unknown_at_most_micro_usd)
        yield Line("without an answer, possibly billed: a request had no response", batch.unknown, most)


def _other(batch: BatchReport) -> Iterator[Line]:
    if batch.changed or batch.superseded_micro_usd:
        spent = dollars(batch.superseded_micro_usd) + " billed in addition" if batch.superseded_micro_usd else ""
        yield Line("edited or removed after processing", batch.changed or None, spent)
    if batch.price_rise is not None:
        yield Line(
            f"price change: the highest receipt is {batch.price_rise:g} times the bound from the lowest ones", None
        )
    if batch.overspent_micro_usd:
        yield Line(
            f"above the budget of {budget_dollars(batch.budget_usd)}",
            None,
            _at_most(batch.overspent_micro_usd),
        )
    if batch.refused:
        yield Line(f"{batch.refused:,} requests of this run were rate limited and sent again", None)


def _purchases(batch: BatchReport, micro_usd: int | None) -> Iterator[Line]:
    if micro_usd is None:
        return
    yield Line("eval runs and smoke calls beside the batch, in all runs", None, dollars(micro_usd))
    batch_micro_usd = None if batch.billed_micro_usd is None else batch.billed_micro_usd + batch.superseded_micro_usd
    total = None if batch_micro_usd is None else batch_micro_usd + micro_usd
    yield Line("batch, eval runs and smoke calls together", None, dollars(total))


def _at_most(micro_usd: int | None) -> str:
    return dollars(micro_usd) if micro_usd is None else f"{dollars(micro_usd)} at most"
