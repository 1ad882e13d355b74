"""Registering a dataset again: only what differs is written, in time in proportion to its rows."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from pareta_batch.engine.planning import register_rows
from pareta_batch.errors import LedgerError
from pareta_batch.ledger import registration as registering
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.writes import LedgerWrites
from pareta_batch.rows.requests import RowRequest
from pareta_batch.run import retry_failed
from pareta_client import AsyncPareta
from pareta_sandbox.testing import Sandbox
from tests.batch.batches import answered, batch_in, mostly_on_sqlite, on_both_databases
from tests.examples import share_of
from tests.grids import extremes

Work = tuple[str, str]


def ask(position: int, key: str, work: str = "w") -> RowRequest:
    return RowRequest(position, key, work, ({"role": "user", "content": f"{key} {work}"},))


def numbered(count: int) -> Iterator[RowRequest]:
    return (ask(position, f"r{position}") for position in range(count))


def cost_of(ledger: Ledger, act: Callable[[], object]) -> int:
    """Count what the database does: steps of SQLite's machine, tuples and index entries that PostgreSQL reads."""
    engine = ledger._database.engine
    if engine.dialect.name == "sqlite":
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        sa.event.listen(engine, "connect", lambda db, _: db.set_progress_handler(count, 100))
        engine.dispose()
        act()
        return steps
    before = read_by(engine)
    act()
    return read_by(engine) - before


def read_by(engine: sa.Engine) -> int:
    query = (
        "SELECT (SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'rows') + sum(idx_tup_read)::bigint"
        " FROM pg_stat_user_indexes WHERE relname = 'rows'"
    )
    # The counts of a connection are published when it ends.
    engine.dispose()
    with engine.begin() as db:
        db.exec_driver_sql("SELECT pg_stat_clear_snapshot()")
        while (
            db.exec_driver_sql("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()").scalar() != 1
        ):
            db.exec_driver_sql("SELECT pg_stat_clear_snapshot()")
        return int(db.exec_driver_sql(query).scalar_one())


@mostly_on_sqlite
@pytest.mark.parametrize("analyzed", ["by registering", "before the batch was registered"])
def test_registering_four_times_the_rows_again_costs_about_four_times_as_much(ledger: Ledger, analyzed: str) -> None:
    if analyzed == "by registering":
        ledger.register_rows("other", numbered(100))
        ledger.register_rows("small", numbered(5_000))
        ledger.register_rows("large", numbered(20_000))
    else:
        older_ledger(ledger)
    small = cost_of(ledger, lambda: run_again(ledger, "small", 5_000))
    large = cost_of(ledger, lambda: run_again(ledger, "large", 20_000))
    # 64 claims that each read the batch would read 64 times as much.
    assert 50 < large < 4 * 25_100, "neither claims nor the parts of a registration read the whole batch"
    assert large < 7 * small, f"{small} for 5,000 rows and {large} for 20,000: quadratic is 16 times"


def run_again(ledger: Ledger, batch: str, count: int) -> None:
    ledger.register_rows(batch, numbered(count))
    ledger.missing_shards(batch, 500)
    last = list(islice(ledger.missing(batch, count // 500 - 1, 500), 64))
    for each in last:
        ledger.write(batch, LedgerWrites(claims=[each]))
    ledger.write(batch, LedgerWrites(outcomes=[answered(each.key, each.fingerprint) for each in last]))


def older_ledger(ledger: Ledger) -> None:
    """Enter batches as an older version did: the planner of PostgreSQL takes them for one row each."""
    ledger.register_rows("other", numbered(100))
    copied = (
        "INSERT INTO rows (batch, key, fingerprint, position, state, attempts, retryable, in_doubt, resent,"
        " prompt_bytes, updated_at, messages)"
        " WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < {})"
        " SELECT '{}', 'r' || n, 'w', n, state, 0, retryable, in_doubt, resent, length('r' || n || ' w'), updated_at,"
        " messages FROM rows CROSS JOIN numbers WHERE batch = 'other' AND key = 'r1'"
    )
    with ledger.transaction() as db:
        db.exec_driver_sql(copied.format(4_999, "small"))
        db.exec_driver_sql(copied.format(19_999, "large"))


def test_a_dataset_that_did_not_change_is_not_written(ledger: Ledger) -> None:
    ledger.register_rows("test", numbered(2_500))
    settle(ledger, [0, 7])
    with ledger.transaction() as db:
        db.exec_driver_sql(
            "CREATE TRIGGER no_update BEFORE UPDATE ON rows BEGIN SELECT RAISE(ABORT, 'a row is written'); END"
        )
        db.exec_driver_sql(
            "CREATE TRIGGER no_insert BEFORE INSERT ON rows BEGIN SELECT RAISE(ABORT, 'a row is written'); END"
        )
    assert ledger.register_rows("test", numbered(2_500)).total == 2_500


@on_both_databases
def test_a_row_that_did_not_change_is_not_written_beside_one_that_did(ledger: Ledger) -> None:
    ledger.register_rows("test", numbered(2_500))
    with ledger.transaction() as db:
        db.exec_driver_sql("CREATE TABLE written (key TEXT)")
        db.exec_driver_sql(WRITTEN[ledger.is_sqlite])
        if not ledger.is_sqlite:
            db.exec_driver_sql(TRIGGER)
    ledger.register_rows("test", [ask(n, f"r{n}", "w" if n != 700 else "new") for n in range(2_500)])
    with ledger.transaction() as db:
        keys = set(db.exec_driver_sql("SELECT key FROM written").scalars())
    assert keys == {"r700"}


# By the kind of the database: whether it is SQLite.
WRITTEN = {
    True: "CREATE TRIGGER note AFTER UPDATE ON rows BEGIN INSERT INTO written VALUES (new.key); END",
    False: "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN INSERT INTO written VALUES (new.key); RETURN NULL; END $$",
}
TRIGGER = "CREATE TRIGGER note AFTER INSERT OR UPDATE ON rows FOR EACH ROW EXECUTE FUNCTION note()"

ODD = ["tab\tline\nreturn\r", "back\\slash \\N \\.", "", "\\N", "é\u2028 🙂", "quote \" ' ;", "{braces}, [] %s :name"]


@on_both_databases
def test_texts_with_the_special_characters_of_bulk_loading_are_kept(ledger: Ledger) -> None:
    rows = [ask(at, text, f"work {at}") for at, text in enumerate(ODD)]
    assert ledger.register_rows("test", rows).total == len(ODD)
    assert list(ledger.missing("test", 0, 10)) == rows
    moved = [replace(each, position=at, fingerprint=f"{at}") for at, each in enumerate(reversed(rows))]
    ledger.register_rows("test", moved)
    assert list(ledger.missing("test", 0, 10)) == moved


class Interrupted(Exception):
    """Ends a registration between two transactions, as a kill does."""


@on_both_databases
@pytest.mark.parametrize("earlier", extremes([0, 1_600, 4_000]))
def test_an_interrupted_registration_loses_nothing_and_the_next_one_continues(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, earlier: int
) -> None:
    if earlier:
        ledger.register_rows("test", numbered(earlier))
        settle(ledger, [0, 700, earlier - 1])
    monkeypatch.setattr(registering, "TRANSACTION_CHUNKS", 1)
    dataset = [ask(at, f"r{at}", "w" if at % 3 else "new") for at in range(3_000)]
    monkeypatch.setattr(registering.Registration, "finish", interrupted)
    with pytest.raises(Interrupted):
        ledger.register_rows("test", dataset)
    assert ledger.is_registering("test")
    answers = (0, 700, earlier - 1) if earlier else ()
    assert ledger.tally("test").settled == sum(at % 3 > 0 or at >= 3_000 for at in answers), "others are superseded"
    monkeypatch.undo()
    again = ledger.register_rows("test", dataset)
    assert not ledger.is_registering("test")
    assert again.total == 3_000
    tally = ledger.tally("test")
    paid = sum(at % 3 > 0 and at < 3_000 for at in answers)
    assert (tally.settled, tally.pending) == (paid, 3_000 - paid)
    assert (tally.billed_micro_usd or 0) + tally.superseded_micro_usd == (15 if earlier else 0)
    assert ledger.register_rows("test", dataset).changed == again.changed


def interrupted(*_: object) -> None:
    raise Interrupted


def test_a_dataset_with_an_error_in_its_last_row_leaves_the_ledger_unchanged(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registering, "TRANSACTION_CHUNKS", 1)
    ledger.register_rows("test", numbered(10))

    def dataset() -> Iterator[RowRequest]:
        yield from (ask(at, f"new {at}") for at in range(2_500))
        raise Interrupted

    with pytest.raises(Interrupted):
        ledger.register_rows("test", dataset())
    assert not ledger.is_registering("test")
    assert [each.key for each in ledger.missing("test", 0, 100)] == [f"r{at}" for at in range(10)]


async def test_a_batch_whose_registration_was_interrupted_is_not_sent(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = batch_in(tmp_path, 2_500)
    monkeypatch.setattr(registering, "TRANSACTION_CHUNKS", 1)
    monkeypatch.setattr(registering.Registration, "finish", interrupted)
    with pytest.raises(Interrupted):
        register_rows(batch, ledger)
    client = AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url)
    with pytest.raises(LedgerError, match="was interrupted"):
        await retry_failed(batch, client, ledger)
    assert sandbox.books().completions_seen == 0


def settle(ledger: Ledger, positions: list[int]) -> None:
    asks = list(ledger.missing("test", 0, 10_000))
    ledger.record("test", [answered(each.key, each.fingerprint) for each in asks if each.position in positions])


rows_of_a_dataset = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("uvw")), max_size=8, unique_by=lambda row: row[0]
)


@settings(max_examples=share_of(30), deadline=None)
@given(
    st.lists(st.tuples(rows_of_a_dataset, st.lists(st.integers(0, 7), max_size=3)), min_size=1, max_size=5),
    st.sampled_from([1, 2, 3, 1_000]),
)
def test_after_any_edits_the_current_rows_are_those_of_the_dataset(
    edits: list[tuple[list[Work], list[int]]], chunk_rows: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registering, "CHUNK_ROWS", chunk_rows)
        edited(edits)


def edited(edits: list[tuple[list[Work], list[int]]]) -> None:
    """Register datasets one after the other, answer some rows of each, and check the ledger after each."""
    ledger = Ledger.open("sqlite://")
    paid: set[Work] = set()
    seen_paid: dict[str, set[str]] = {}
    for dataset, answers in edits:
        asks = [ask(position, key, work) for position, (key, work) in enumerate(dataset)]
        changed = ledger.register_rows("test", asks).changed
        assert changed == sum(bool(seen_paid.get(key, set()) - {work}) for key, work in dataset)
        missing = list(ledger.missing("test", 0, 100))
        assert missing == [each for each in asks if (each.key, each.fingerprint) not in paid]
        settle(ledger, answers)
        for key, work in (row for position, row in enumerate(dataset) if position in answers):
            paid.add((key, work))
            seen_paid.setdefault(key, set()).add(work)
        assert ledger.tally("test").total == len(dataset)
        assert set(ledger.outcomes_of("test", list("abcdefgh"))) == {key for key, _ in dataset}
    ledger.close()
