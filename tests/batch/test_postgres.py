"""The ledger on PostgreSQL: the same semantics, and a lease that dies with its owner's connection."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pareta_batch.engine.planning import register_rows
from pareta_batch.errors import BatchBusy, DatasetError
from pareta_batch.ledger.ledger import Ledger
from pareta_sandbox.testing import Drop, Sandbox
from tests.batch.batches import answered, batch_in, numbered, run
from tests.batch.test_crashes import CLAIMED, killed_after
from tests.batch.test_eval_plan import plans_and_scores_are_kept


@pytest.fixture
def url(postgres_url: str) -> str:
    return postgres_url


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    opened = Ledger.open(url)
    yield opened
    opened.close()


async def test_a_batch_is_answered_once_and_every_dollar_accounted_for(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.inject(Drop(when="after", times=3))
    batch = batch_in(tmp_path, 60, shard_size=7)
    report = await run(batch, sandbox, ledger)
    assert (report.status, report.settled, report.replayed) == ("completed", 60, 3)
    assert report.replayed_at_most_micro_usd
    before = sandbox.books()
    assert (await run(batch, sandbox, ledger)).settled == 60
    sandbox.silent_since(before)
    sandbox.debited_once()


async def test_a_killed_run_is_completed_without_paying_twice(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, url: str
) -> None:
    sandbox.change(latency_ms=20)
    batch = batch_in(tmp_path, 120, max_in_flight=8)
    await killed_after(30, batch, sandbox, url)
    assert ledger.tally("test").unknown <= CLAIMED
    assert (await run(batch, sandbox, ledger)).status == "completed"
    sandbox.completed(120)
    sandbox.debited_once()


def test_a_second_run_is_refused_until_the_first_has_ended(ledger: Ledger, url: str) -> None:
    other = Ledger.open(url)
    with ledger.lease("test"):
        with pytest.raises(BatchBusy), other.lease("test"):
            raise AssertionError("both hold it")
        with other.lease("another batch"):
            pass
    with other.lease("test"):
        pass
    other.close()


def test_a_dataset_that_does_not_fit_changes_nothing(tmp_path: Path, ledger: Ledger) -> None:
    register_rows(batch_in(tmp_path), ledger)
    with pytest.raises(DatasetError):
        register_rows(batch_in(tmp_path, [*numbered(2), *numbered(1)]), ledger)
    assert ledger.tally("test").pending == 3


def test_an_answer_with_a_nul_is_kept(tmp_path: Path, ledger: Ledger) -> None:
    register_rows(batch_in(tmp_path, 1), ledger)
    (ask,) = ledger.missing("test", 0, 10)
    ledger.record("test", [answered(ask.key, ask.fingerprint, answer="a\0b")])
    assert ledger.outcomes_of("test", ["r0"])["r0"].answer == "a\ufffdb"


def test_plans_and_scores_of_eval_work_are_kept(ledger: Ledger) -> None:
    plans_and_scores_are_kept(ledger)
