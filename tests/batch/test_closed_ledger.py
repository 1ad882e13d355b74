"""A ledger that is closed while a thread uses it leaves no connection open."""

import gc
import sqlite3

import psycopg
import pytest

from pareta_batch.ledger.ledger import Ledger
from tests.batch.batches import on_both_databases


@on_both_databases
def test_a_connection_that_is_in_use_at_the_close_is_closed_when_it_is_returned(ledger_url: str) -> None:
    ledger = Ledger.open(ledger_url)
    with ledger.transaction() as db:
        raw = db.connection.driver_connection
        ledger.close()
    del db
    gc.collect()
    assert raw is not None
    with pytest.raises((sqlite3.ProgrammingError, psycopg.OperationalError), match="closed"):
        raw.execute("SELECT 1")
