"""Migrations of older ledgers by Alembic, on SQLite and PostgreSQL: same tables as a new ledger, and nothing lost."""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from pareta_batch.errors import LedgerError
from pareta_batch.ledger import run_tables
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.migrations import FOLDER
from pareta_batch.ledger.schema import VERSION, metadata, revisions
from pareta_sandbox.testing import Sandbox
from tests.batch.batches import batch_in, mostly_on_sqlite, on_both_databases, run
from tests.batch.processes import open_at_once
from tests.forks import FORKS, forked

LEDGERS = Path(__file__).parent / "ledgers"
OLD = sorted(path.name for path in LEDGERS.glob("*.sql"))
OF_SIX_ROWS = ["version_4.postgresql.sql", "version_5.sql", "version_5.postgresql.sql"]
"""Ledgers of six rows: answered, failed for good, failed and retryable, claimed, and two pending."""

ON_DEMAND = {"account_runs", "members", "member_runs", "member_shards", "stops"}
"""Tables that programs of version 6 created when a run needed them."""

PROCESSES = 4


@pytest.fixture
def old_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a ledger of an older version: the parameter names its dump in `ledgers`."""
    dump = (LEDGERS / request.param).read_text()
    if request.param.endswith(".postgresql.sql"):
        url: str = request.getfixturevalue("postgres_url")
        with psycopg.connect(url) as db:
            db.execute(dump.encode())
        return url
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as lite:
        lite.executescript(dump)
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def opened(old_url: str) -> Iterator[Ledger]:
    ledger = Ledger.open(old_url)
    yield ledger
    ledger.close()


def differences(ledger: Ledger) -> list[object]:
    """Compare the tables of a ledger with those that a new one has."""
    with ledger.transaction() as db:
        opts = {"version_table": revisions.name, "compare_type": other_type}
        return list(compare_metadata(MigrationContext.configure(db, opts=opts), with_partial_index()))


def with_partial_index() -> sa.MetaData:
    """Return the tables of a new ledger with the index that it creates by a statement of its own."""
    copied = sa.MetaData()
    for table in metadata.tables.values():
        table.to_metadata(copied)
    open_shards = copied.tables[run_tables.member_shards.name].c
    sa.Index("member_shards_open", open_shards.batch, open_shards.shard)
    return copied


def other_type(context: MigrationContext, _: object, __: object, found: object, wanted: object) -> bool | None:
    """Return False for integers of another width on SQLite, where all are the same; None: Alembic compares."""
    both = isinstance(found, sa.Integer) and isinstance(wanted, sa.Integer)
    return False if both and context.dialect.name == "sqlite" else None


def versions(ledger: Ledger) -> tuple[object, object]:
    with ledger.transaction() as db:
        revision = db.execute(sa.select(revisions.c.version_num)).scalar_one()
        return db.exec_driver_sql("SELECT version FROM ledger_version").scalar_one(), revision


def test_the_latest_revision_is_the_version_of_the_tables() -> None:
    assert ScriptDirectory(str(FOLDER)).get_current_head() == str(VERSION)


@on_both_databases
def test_a_new_ledger_is_of_the_latest_revision(ledger: Ledger) -> None:
    assert differences(ledger) == []
    assert versions(ledger) == (VERSION, str(VERSION))


@pytest.mark.parametrize("old_url", OLD, indirect=True)
def test_a_migrated_ledger_has_the_tables_of_a_new_one(opened: Ledger) -> None:
    assert differences(opened) == []
    assert versions(opened) == (VERSION, str(VERSION))


def fill_factor(ledger: Ledger) -> object:
    with ledger.transaction() as db:
        return db.exec_driver_sql("SELECT reloptions FROM pg_class WHERE relname = 'rows'").scalar_one()


@pytest.mark.parametrize("old_url", ["version_4.postgresql.sql", "version_5.postgresql.sql"], indirect=True)
def test_rows_of_a_migrated_and_of_a_new_ledger_leave_space_in_their_pages(opened: Ledger, old_url: str) -> None:
    assert fill_factor(opened) == ["fillfactor=70"]
    with opened.transaction() as db:
        for table in db.exec_driver_sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").scalars().all():
            db.exec_driver_sql(f"DROP TABLE {table}")
    new = Ledger.open(old_url)
    assert fill_factor(new) == ["fillfactor=70"]
    new.close()


@on_both_databases
@pytest.mark.parametrize("used", [pytest.param(False, marks=pytest.mark.long), True])
def test_tables_that_version_6_created_on_demand_are_known_and_kept(ledger_url: str, used: bool) -> None:
    ledger = Ledger.open(ledger_url)
    on_demand = [table for table in metadata.sorted_tables if table.name in ON_DEMAND]
    assert len(on_demand) == len(ON_DEMAND)
    with ledger.transaction() as db:
        run_tables.member_parts.drop(db)
        if used:
            db.execute(run_tables.stops.insert().values(batch="test", run="1", reason="Paid", message="402"))
        else:
            metadata.drop_all(db, on_demand)
        db.exec_driver_sql("UPDATE ledger_version SET version = 6")
        db.exec_driver_sql("UPDATE ledger_revision SET version_num = '6'")
    ledger.close()
    ledger = Ledger.open(ledger_url)
    assert differences(ledger) == []
    assert versions(ledger) == (VERSION, str(VERSION))
    with ledger.transaction() as db:
        assert len(db.execute(sa.select(run_tables.stops)).all()) == used
    ledger.close()


@pytest.mark.parametrize("old_url", ["version_5.sql", "version_5.postgresql.sql"], indirect=True)
def test_a_ledger_of_version_5_from_before_its_last_table_gets_it(old_url: str) -> None:
    engine = sa.create_engine(old_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as db:
        db.exec_driver_sql("DROP TABLE owners")
    engine.dispose()
    ledger = Ledger.open(old_url)
    assert differences(ledger) == []
    ledger.close()


@pytest.mark.parametrize("old_url", OF_SIX_ROWS, indirect=True)
async def test_a_migrated_batch_is_completed_and_nothing_is_bought_again(
    tmp_path: Path, sandbox: Sandbox, opened: Ledger
) -> None:
    assert opened.tally("test").unknown == 1
    before = opened.outcomes_of("test", ["r0", "r1"])
    assert (before["r0"].answer, before["r0"].billed_micro_usd, before["r1"].error) == ("billing", 5, "BadRequest")
    report = await run(batch_in(tmp_path, 6), sandbox, opened)
    assert (report.settled, report.failed, report.resent) == (5, 1, 1)
    assert opened.outcomes_of("test", ["r0", "r1"]) == before
    assert sandbox.books().completions == 4


def in_processes_at_once(url: str) -> None:
    """Open a ledger in many processes at the same moment, and check that each of them could use it."""
    with ExitStack() as stack:
        start = FORKS.Barrier(PROCESSES)
        started = [stack.enter_context(forked(open_at_once, url, start)) for _ in range(PROCESSES)]
        for process in started:
            process.join(60)
        assert [process.exitcode for process in started] == [0] * PROCESSES


@mostly_on_sqlite
def test_many_processes_that_open_a_new_ledger_at_once_find_one(ledger_url: str) -> None:
    in_processes_at_once(ledger_url)
    ledger = Ledger.open(ledger_url)
    assert versions(ledger) == (VERSION, str(VERSION))
    ledger.close()


@pytest.mark.parametrize(
    "old_url", ["version_2.sql", pytest.param("version_4.postgresql.sql", marks=pytest.mark.long)], indirect=True
)
def test_many_processes_that_open_an_old_ledger_at_once_migrate_it_once(old_url: str) -> None:
    in_processes_at_once(old_url)
    ledger = Ledger.open(old_url)
    assert differences(ledger) == []
    assert versions(ledger) == (VERSION, str(VERSION))
    assert ledger.tally("test").total in (6, 12)
    ledger.close()


@on_both_databases
def test_a_newer_ledger_is_refused_on_both_databases(ledger_url: str) -> None:
    ledger = Ledger.open(ledger_url)
    with ledger.transaction() as db:
        db.exec_driver_sql(f"UPDATE ledger_version SET version = {VERSION + 1}")
        db.exec_driver_sql(f"UPDATE ledger_revision SET version_num = '{VERSION + 1}'")
    with pytest.raises(LedgerError, match=f"version {VERSION + 1}, this program knows up to {VERSION}: update it"):
        Ledger.open(ledger_url)
    assert versions(ledger) == (VERSION + 1, str(VERSION + 1))
    ledger.close()
