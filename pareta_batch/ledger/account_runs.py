"""The runs of each account that send now, with the usage of their limiters."""

import time
from collections import deque
from hashlib import sha256
from math import inf

import sqlalchemy as sa

from pareta_batch.ledger.database import insert_into
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.run_tables import account_runs
from pareta_batch.rate_limit import Usage

MAX_AGE_S = 10.0
"""Seconds without a report after which a run counts as killed; higher tolerates slower ledgers."""
CLOCK_SAMPLES = 16
"""Latest measurements of the database's clock, of which the fastest counts; higher is more precise, and drifts more."""


def account_digest(base_url: str, api_key: str) -> str:
    """Return the identity of an account: a digest that does not reveal the key."""
    return sha256(f"{base_url}\n{api_key}".encode()).hexdigest()


class AccountRuns:
    """The reports of the runs of one account in a ledger."""

    def __init__(self, ledger: Ledger, account: str, run: str) -> None:
        self._ledger = ledger
        self._account = account
        self.run = run
        self._of_account = account_runs.c.account == account
        self.clock_s = time.time() - time.monotonic()
        """Seconds by which the clock of the ledger is ahead of `time.monotonic()`; all runs of the ledger share it."""
        self._clocks: deque[tuple[float, float]] = deque(maxlen=CLOCK_SAMPLES)  # seconds to measure it, and its lead
        self._own = sa.and_(self._of_account, account_runs.c.run == run)

    def exchange(self, own: Usage) -> list[Usage]:
        """Write the report of this run, and return those of the other living runs; raises LedgerError."""
        now = time.time()
        report = {
            "started": own.started,
            "refused": own.refused,
            "paused_until": now + own.pause_s,
            "account_per_s": own.account_per_s,
            "demand_per_s": None if own.demand_per_s == inf else own.demand_per_s,
            "reported_at": now,
        }
        with self._ledger.transaction() as db:
            written = insert_into(db, account_runs).values(account=self._account, run=self.run, **report)
            db.execute(written.on_conflict_do_update(index_elements=["account", "run"], set_=report))
            self._measure_clock(db)
            others = sa.and_(self._of_account, account_runs.c.run != self.run)
            found = db.execute(sa.select(account_runs).where(others, account_runs.c.reported_at > now - MAX_AGE_S))
            return [
                Usage(
                    started=row.started,
                    refused=row.refused,
                    # At most as reported: the clock of its machine may be ahead of this one.
                    pause_s=max(min(row.paused_until - now, row.paused_until - row.reported_at), 0.0),
                    account_per_s=row.account_per_s,
                    demand_per_s=inf if row.demand_per_s is None else row.demand_per_s,
                    run=row.run,
                )
                for row in found
            ]

    def _measure_clock(self, db: sa.Connection) -> None:
        """Measure the clock of the ledger: that of the server, or with SQLite that of this machine."""
        begin = time.monotonic()
        if db.dialect.name != "postgresql":
            self.clock_s = time.time() - begin
            return
        ledger_s = float(db.scalar(sa.select(sa.extract("epoch", sa.func.clock_timestamp()))) or 0)
        end = time.monotonic()
        self._clocks.append((end - begin, ledger_s - (begin + end) / 2))
        self.clock_s = min(self._clocks)[1]

    def end(self) -> None:
        """Remove the report of this run, and those of killed runs; raises LedgerError."""
        with self._ledger.transaction() as db:
            killed = account_runs.c.reported_at < time.time() - MAX_AGE_S
            db.execute(account_runs.delete().where(self._of_account, sa.or_(self._own, killed)))
