"""Bills of purchases: written to the ledger, and counted once as a metric."""

from pareta_batch.engine import count_purchase
from pareta_batch.ledger import Bill, Ledger, mark_bought, tags_of, write_bill
from pareta_client import EvalRun


def bill_run(ledger: Ledger, run: EvalRun) -> None:
    """Write the bill of an eval run, if it has ended and has one."""
    _count(ledger, write_bill(ledger, run))


def bill_call(ledger: Ledger, key: str, request_id: str | None, billed_micro_usd: int) -> None:
    """Write the bill of a single call, which was reserved under `key`."""
    _count(ledger, mark_bought(ledger, key, request_id, billed_micro_usd))


def _count(ledger: Ledger, bill: Bill | None) -> None:
    if bill is not None and bill.micro_usd > 0:
        count_purchase(bill.account, tags_of(ledger, bill.account), bill.micro_usd)
