"""The metrics of the money of a run with members: its receipts and its budget left."""

from pareta_batch.engine import SessionWork, money_in_ledger, set_money
from pareta_batch.members.funds import Funds


class RunMoney:
    """The gauges of one run, as the members reported them, or from the ledger."""

    def __init__(self, work: SessionWork, funds: Funds) -> None:
        self._work = work
        self._funds = funds

    def measure(self, spent_micro_usd: int) -> None:
        """Set the gauges from the receipts of the run so far."""
        before = self._work.spent_micro_usd or 0
        set_money(self._work.batch, lambda: (before + spent_micro_usd, self._funds.left(spent_micro_usd)))

    def measure_ledger(self) -> None:
        """Set the gauges from the ledger."""
        set_money(self._work.batch, lambda: money_in_ledger(self._work))
