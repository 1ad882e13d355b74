"""Workers of one pool: another ledger is refused, other data and another key are reported."""

import logging
from dataclasses import asdict, replace
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect.variables import Variable

from pareta_batch import Batch, Ledger
from tasks import worker_records
from tasks.worker_records import WorkerRecord, variable_name

FIRST = WorkerRecord(
    batch="tickets",
    ledger="a" * 32,
    place="postgresql://pareta@db.example/pareta",
    worker="one:/srv/one",
    key="11111111",
    dataset="tickets.csv",
    size=100,
)
ELSEWHERE = replace(FIRST, worker="two:/srv/two")

SAME = {
    "the same worker": FIRST,
    "another worker with all of it": ELSEWHERE,
    "another address of the same ledger": replace(ELSEWHERE, place="postgresql://pareta@10.0.0.7/pareta"),
    "more rows in the same file": replace(FIRST, size=200),
    "another dataset": replace(ELSEWHERE, dataset="other.csv", size=7),
}
WARNED = {
    "another key": (replace(ELSEWHERE, key="22222222"), "API key of two:/srv/two is another one"),
    "another file": (replace(ELSEWHERE, size=1_234), "in two:/srv/two it is 1,234 bytes"),
    "no file": (replace(ELSEWHERE, size=None), "in two:/srv/two it is missing"),
}


@pytest.mark.parametrize("record", SAME.values(), ids=SAME.keys())
def test_what_workers_may_differ_in_is_not_reported(record: WorkerRecord) -> None:
    assert record.problem(FIRST) is None
    assert list(record.warnings(FIRST)) == []


@pytest.mark.parametrize(("record", "words"), WARNED.values(), ids=WARNED.keys())
def test_other_data_and_another_key_are_reported(record: WorkerRecord, words: str) -> None:
    assert record.problem(FIRST) is None
    (warning,) = record.warnings(FIRST)
    assert words in warning


def test_another_ledger_is_refused_with_both_places_and_both_next_steps() -> None:
    problem = replace(ELSEWHERE, ledger="b" * 32, place="sqlite:////srv/two/.pareta/ledger.db").problem(FIRST)
    assert problem is not None
    for words in ("/srv/two/.pareta/ledger.db", "two:/srv/two", FIRST.place, "PostgreSQL", variable_name("tickets")):
        assert words in problem


@given(st.from_regex(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", fullmatch=True))
def test_each_batch_has_a_variable_name_that_prefect_accepts(batch: str) -> None:
    name = variable_name(batch)
    assert len(name) <= 255
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_names_that_differ_in_case_or_punctuation_have_different_variables() -> None:
    assert len({variable_name(name) for name in ("a.b", "a-b", "A-b", "a_b")}) == 4


@pytest.mark.parametrize(
    ("earlier", "words"),
    [
        (None, []),
        ({"of": "an older version"}, []),
        (asdict(FIRST), []),
        (asdict(replace(FIRST, key="22222222")), ["API key of one:/srv/one is another one"]),
    ],
    ids=["no record", "record of another version", "the same key", "another key"],
)
async def test_a_member_with_another_key_than_its_run_is_reported(
    earlier: object, words: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def read(name: str) -> object:
        assert name == variable_name("tickets")
        return earlier

    monkeypatch.setattr(Variable, "aget", read)
    monkeypatch.setattr(worker_records, "current_flow_run", lambda: SimpleNamespace(work_pool_name="pareta"))
    monkeypatch.setattr(worker_records, "run_logger", lambda: logging.getLogger("member"))
    monkeypatch.setattr(worker_records, "_record", lambda *_: FIRST)
    batch = Batch(name="tickets", model="auto", dataset="tickets.csv", prompt="{ticket}")
    await worker_records.warn_of_other_worker(batch, cast("Ledger", None), "a key")
    assert len(caplog.messages) == len(words)
    assert all(each in caplog.text for each in words)
