"""Who holds a batch is read without the lock: a run that starts meanwhile is not refused."""

import os
import threading
from contextlib import closing
from pathlib import Path

import pytest

from pareta_batch.ledger.ledger import Ledger
from tests.batch.batches import on_both_databases

ROUNDS = 100


@on_both_databases
def test_the_holder_of_a_batch_is_named_while_it_holds_it(ledger: Ledger, ledger_url: str) -> None:
    with closing(Ledger.open(ledger_url)) as other:
        assert other.holder("test") is None
        with ledger.lease("test"):
            assert (other.holder("test") or "").startswith(f"process {os.getpid()} on ")
            assert ledger.holder("test") == other.holder("test")
            assert other.holder("another") is None
        assert other.holder("test") is None


@on_both_databases
def test_a_run_that_starts_while_others_look_is_not_refused(ledger: Ledger, ledger_url: str) -> None:
    ended = threading.Event()
    found: list[str | None] = []

    def look() -> None:
        with closing(Ledger.open(ledger_url)) as other:
            while not ended.is_set():
                found.append(other.holder("test"))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for _ in range(ROUNDS):
            with ledger.lease("test"):  # raises BatchBusy if looking acquires the lock
                pass
    finally:
        ended.set()
        thread.join(timeout=30)
    assert found


def test_the_holder_of_a_lock_file_is_named(
    ledger: Ledger, ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pareta_batch.ledger.file_locks.HAS_OFD_LOCKS", False)
    monkeypatch.setattr("pareta_batch.ledger.file_locks.LOCK_FOLDER", tmp_path)
    with closing(Ledger.open(ledger_url)) as other:
        with ledger.lease("test"):
            assert (other.holder("test") or "").startswith(f"process {os.getpid()} on ")
        assert other.holder("test") is None
