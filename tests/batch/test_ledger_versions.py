"""Ledgers of other versions, ledgers that cannot be written, and two runs that open a new one at once."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from pareta_batch.engine.planning import register_rows
from pareta_batch.engine.session import open_session
from pareta_batch.errors import LedgerError
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.rows.identity import idempotency_key
from pareta_client import AsyncPareta
from pareta_sandbox.testing import Sandbox
from tests.batch.batches import ENDPOINT, answered, batch_in, ledger_in, run

OPEN_FILES = Path("/proc/self/fd")

VERSION_1 = """
CREATE TABLE rows (batch VARCHAR(100) NOT NULL, "key" VARCHAR NOT NULL, fingerprint VARCHAR(64) NOT NULL,
    position INTEGER, state VARCHAR(10) NOT NULL, attempts INTEGER NOT NULL, answer TEXT, finish_reason VARCHAR,
    error VARCHAR, error_message TEXT, retryable BOOLEAN NOT NULL, request_id VARCHAR, latency_ms FLOAT,
    prompt_tokens INTEGER, completion_tokens INTEGER, billed_micro_usd BIGINT, updated_at DATETIME NOT NULL,
    messages JSON, PRIMARY KEY (batch, "key", fingerprint));
CREATE INDEX rows_in_order ON rows (batch, position);
CREATE TABLE eval_work ("key" VARCHAR(64) NOT NULL, id VARCHAR NOT NULL, created_at DATETIME NOT NULL,
    PRIMARY KEY ("key"));
"""
COLUMNS_1 = (
    "batch, key, fingerprint, position, state, attempts, answer, finish_reason, error, error_message, retryable, "
    "request_id, latency_ms, prompt_tokens, completion_tokens, billed_micro_usd, updated_at, messages"
)


async def test_a_ledger_of_the_first_version_is_migrated_and_its_answers_are_not_bought_again(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    batch = batch_in(tmp_path, 5)
    await run(batch, sandbox, ledger)
    with sqlite3.connect(tmp_path / "old.db") as old:
        old.executescript(VERSION_1)
        old.execute("ATTACH ? AS new", (str(tmp_path / "ledger.db"),))
        old.execute(f"INSERT INTO rows ({COLUMNS_1}) SELECT {COLUMNS_1} FROM new.rows")
    old.close()
    before = sandbox.books()
    for _ in range(2):
        migrated = Ledger.open(f"sqlite:///{tmp_path / 'old.db'}")
        report = await run(batch, sandbox, migrated)
        assert (report.status, report.settled) == ("completed", 5)
        migrated.close()
    sandbox.silent_since(before)


@pytest.mark.parametrize("name", ["batches", "eval_work", "member_shards"])
def test_a_database_where_somebody_else_has_a_table_of_the_name_is_refused_and_left_as_it_is(
    tmp_path: Path, name: str
) -> None:
    with closing(sqlite3.connect(tmp_path / "shared.db")) as db:
        db.execute(f"CREATE TABLE {name} (theirs)")
        with pytest.raises(LedgerError, match=f"table {name} already exists; set PARETA_LEDGER_URL to a database"):
            Ledger.open(f"sqlite:///{tmp_path / 'shared.db'}")
        assert db.execute("SELECT name FROM sqlite_master").fetchall() == [(name,)]


KEYS_238D6FF = {
    "r7": "pb1-a3a391feda166c99c2be6bfbc03b06fc5834203392d70073f80325171511f661",
    "r8": "pb1-c289c610a3c1e2bd7f26e620dff5e65d42618a4b75c586acfde7f7062b58945d",
    "r9": "pb1-6bf9882c58a0a912bea5226f34249aa8ba85830530e71ff86b377108a8a37a6f",
    "r10": "pb1-d0c15e305b89c3c58adc8f1c6ba1600022a8a02522db96767aec6713603696f7",
    "r11": "pb1-b19d92ca0b87b14d425d117e9f61e695b36bbad977b423cf7e96e2dd2fc8b309",
}
"""Idempotency keys that commit 238d6ff sent, or would have sent, for the rows that `version_2.sql` leaves pending."""


async def test_a_batch_that_an_earlier_commit_left_unfinished_is_resumed_without_a_second_debit(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    """`version_2.sql` is a ledger of commit 238d6ff: three of twelve rows in flight, one claimed, one not."""
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        db.executescript((Path(__file__).parent / "ledgers" / "version_2.sql").read_text())
    db.close()
    async with AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url) as client:
        for number in (7, 8, 9):
            await client.chat.completions.create(
                model=ENDPOINT,
                messages=[{"role": "user", "content": f"Which team? My invoice number {number} is wrong."}],
                max_tokens=10,
                idempotency_key=KEYS_238D6FF[f"r{number}"],
            )
    ledger = ledger_in(tmp_path)
    report = await run(batch_in(tmp_path, 12), sandbox, ledger)
    assert (report.settled, report.failed, report.pending, report.unknown) == (11, 1, 0, 0)
    assert (report.resent, report.replayed) == (4, 3)
    assert sandbox.books().completions == 5
    assert sandbox.books().completions_seen == 3 + 5
    sandbox.debited_once()
    ledger.close()


def test_the_digests_and_keys_of_an_earlier_commit_are_those_of_today(tmp_path: Path) -> None:
    ledger = ledger_in(tmp_path)
    register_rows(batch_in(tmp_path, 12), ledger)
    asked = {each.key: each for each in ledger.missing("test", 0, 12)}
    assert asked["r0"].fingerprint == "a282556b77ff866ed512e47be9b08996b3c5aac3682273817b64d615b449b1cc"
    assert asked["r11"].fingerprint == "0d0fc80fbc8a196d127b9e3833d29d25510a85f53f16171b8ae369c23418b18c"
    today = {key: idempotency_key("test", key, asked[key].fingerprint) for key in KEYS_238D6FF}
    assert today == KEYS_238D6FF
    ledger.close()


ADDED = {3: ("message", "notes"), 4: ("options", "turns", "turn_bytes", "asked_again_micro_usd", "lost_receipts")}
ADDED[5] = ("scope", "copy_batch", "copy_of", "saved_micro_usd", "sent_as")


@pytest.mark.parametrize("version", [2, 3, 4])
def test_a_ledger_of_an_earlier_version_gets_the_new_columns_and_keeps_its_rows(tmp_path: Path, version: int) -> None:
    first = ledger_in(tmp_path)
    register_rows(batch_in(tmp_path, 2), first)
    asks = list(first.missing("test", 0, 10))
    first.record("test", [answered(ask.key, ask.fingerprint) for ask in asks])
    first.close()
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        for column in (name for added, names in ADDED.items() if added > version for name in names):
            db.execute(f"ALTER TABLE rows DROP COLUMN {column}")
        for table in ("ledger_revision", "batches", "shards"):
            db.execute(f"DROP TABLE {table}")
        db.execute("UPDATE ledger_version SET version = ?", (version,))
    db.close()
    migrated = ledger_in(tmp_path)
    assert migrated.outcomes_of("test", ["r0"])["r0"] == answered("r0", asks[0].fingerprint)
    migrated.close()


def test_sums_beyond_what_the_database_counts_are_added_up_all_the_same(tmp_path: Path, ledger: Ledger) -> None:
    register_rows(batch_in(tmp_path, 12), ledger)
    asks = list(ledger.missing("test", 0, 20))
    ledger.record("test", [answered(ask.key, ask.fingerprint) for ask in asks])
    with sqlite3.connect(tmp_path / "ledger.db") as db:  # an older version stored any number of 18 digits
        db.execute("UPDATE rows SET billed_micro_usd = 999999999999999999, prompt_tokens = 9223372036854775807")
        db.execute("UPDATE rows SET completion_tokens = 'ten', latency_ms = 'soon'")
        db.execute("UPDATE rows SET position = NULL WHERE \"key\" = 'r11'")
        db.execute("DELETE FROM shards")  # no version that counts per shard stored such numbers
    db.close()
    tally = ledger.tally("test")
    assert (tally.billed_micro_usd, tally.prompt_tokens) == (11 * (10**18 - 1), 11 * (2**63 - 1))
    assert tally.superseded_micro_usd == 10**18 - 1
    found = ledger.outcomes_of("test", ["r0"])["r0"]
    assert (found.completion_tokens, found.latency_ms, found.prompt_tokens) == (None, None, 2**63 - 1)


def test_a_ledger_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    ledger_in(tmp_path).close()
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        db.execute("UPDATE ledger_version SET version = 99")
    db.close()
    with pytest.raises(LedgerError, match="version 99, this program knows up to"):
        ledger_in(tmp_path)


@pytest.mark.skipif(not OPEN_FILES.is_dir(), reason="open files are listed by Linux only")
@pytest.mark.parametrize("damage", ["newer", "no database", "half a database"])
def test_a_ledger_that_cannot_be_opened_leaves_no_connection_open(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "ledger.db"
    ledger_in(tmp_path).close()
    if damage == "newer":
        with closing(sqlite3.connect(file)) as db, db:
            db.execute("UPDATE ledger_version SET version = 99")
    else:
        file.write_bytes(b"no database, " * 100 if damage == "no database" else b"SQLite format 3\0" + b"\xff" * 4096)
    with pytest.raises(LedgerError) as caught:
        ledger_in(tmp_path)
    assert caught.tb is not None, "the traceback holds the connection: it is closed, not only collected"
    assert not [link for link in OPEN_FILES.iterdir() if link.is_symlink() and str(file) in str(link.readlink())]


def test_runs_that_open_a_new_ledger_at_the_same_moment_find_one(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        for opened in pool.map(lambda _: ledger_in(tmp_path), range(8)):
            opened.close()


async def test_a_ledger_that_cannot_be_written_stops_before_anything_is_sent(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    batch = batch_in(tmp_path)
    register_rows(batch, ledger)
    client = AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url)
    async with open_session(batch, client, ledger) as run_:
        sa.event.listen(ledger._database.engine, "connect", lambda db, _: db.execute("PRAGMA query_only = ON"))
        ledger._database.engine.dispose()
        with pytest.raises(LedgerError, match="readonly"):
            await run_.complete(0)
    assert run_.stop is not None
    assert run_.stop.reason == "LedgerError"
    assert sandbox.books().completions_seen == 0
