"""The URL of a ledger as people have it, and what is said about one that cannot be used: never a password."""

import sqlite3
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from pareta_batch.errors import LedgerError
from pareta_batch.ledger.database import Database
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.url import ledger_url, shown

PSYCOPG = "postgresql+psycopg://pareta:***@db.example:6543/ledger"


@pytest.mark.parametrize(
    "scheme",
    [
        "postgresql",
        "postgres",
        "postgresql+psycopg",
        "postgresql+psycopg2",
        "postgresql+asyncpg",
        "postgresql+psycopg_async",
        "PostgreSQL",
    ],
)
def test_every_way_to_name_postgresql_is_opened_with_psycopg(scheme: str) -> None:
    url = ledger_url(f"{scheme}://pareta:geheim@db.example:6543/ledger")
    assert (shown(url), url.password) == (PSYCOPG, "geheim")


@pytest.mark.parametrize(
    ("given", "understood"),
    [
        ("ssl=require", {"sslmode": "require"}),
        ("ssl=verify-full&sslrootcert=/ca.pem", {"sslmode": "verify-full", "sslrootcert": "/ca.pem"}),
        ("ssl=true", {"sslmode": "require"}),
        ("ssl=False", {"sslmode": "disable"}),
        ("sslmode=prefer", {"sslmode": "prefer"}),
        ("timeout=2.5", {"connect_timeout": "3"}),
        ("prepared_statement_cache_size=0&statement_cache_size=0&command_timeout=60", {}),
        ("host=/run/postgresql&application_name=x", {"host": "/run/postgresql", "application_name": "x"}),
    ],
)
def test_options_of_asyncpg_are_understood(given: str, understood: dict[str, str]) -> None:
    assert dict(ledger_url(f"postgresql+asyncpg://pareta@db/ledger?{given}").query) == understood


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+aiosqlite", "sqlite+pysqlite", "SQLite"])
def test_every_way_to_name_sqlite_opens_the_same_file(tmp_path: Path, scheme: str) -> None:
    Ledger.open(f"{scheme}:///{tmp_path}/ledger.db").close()
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.db"]


@pytest.mark.parametrize("name", ["what?.db", "a&b.db", "50%.db", "a%20b.db", "x?mode=.dir&y.db", "#1.db", "ä ö.db"])
def test_any_character_of_a_path_is_kept(tmp_path: Path, name: str) -> None:
    ledger = Ledger.open(f"sqlite:///{tmp_path}/{name}")
    assert ledger.file == tmp_path / name
    assert (tmp_path / name).exists()
    ledger.close()


@given(st.text(st.characters(exclude_characters="\0?", exclude_categories=["Cs", "Z", "Cc"]), min_size=1))
def test_a_path_without_a_question_mark_is_taken_as_it_is(path: str) -> None:
    assert ledger_url(f"sqlite:////{path}").database == f"/{path}"


def test_options_of_sqlite_are_told_from_a_path_with_a_question_mark(tmp_path: Path) -> None:
    url = ledger_url("sqlite:////what?.db?timeout=5&check_same_thread=false")
    assert (url.database, dict(url.query)) == ("/what?.db", {"timeout": "5", "check_same_thread": "false"})
    ledger = Ledger.open(f"sqlite:///file:{tmp_path}/a%20b.db?mode=rwc&uri=true")
    assert ledger.file == tmp_path / "a b.db"
    ledger.close()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"])
def test_a_ledger_in_memory_has_no_file_and_can_be_leased(url: str) -> None:
    ledger = Ledger.open(url)
    assert ledger.file is None
    with ledger.lease("test"):
        pass
    ledger.close()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///{folder}/ledger.db"])
def test_a_ledger_that_several_threads_used_closes_all_its_connections(tmp_path: Path, url: str) -> None:
    database = Database(ledger_url(url.format(folder=tmp_path)))
    opened: list[sqlite3.Connection] = []
    sa.event.listen(database.engine, "connect", lambda connection, _: opened.append(connection))
    together = Barrier(3)

    def use() -> None:
        with database.transaction() as db:
            db.exec_driver_sql("SELECT 1")
            together.wait(60)

    with ThreadPoolExecutor(3) as threads:
        for each in [threads.submit(use) for _ in range(3)]:
            each.result()
    database.close()
    assert len(opened) == 3
    for connection in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
            connection.execute("SELECT 1")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("mysql://u:geheim@db/ledger", "unknown dialect 'mysql'"),
        ("postgresql+oracle://u:geheim@db/ledger", "unknown driver 'oracle' of postgresql"),
        (".pareta/ledger.db", "it has no '://'"),
        ("postgresql://u:geheim@db:port/ledger", "cannot be parsed"),
        ("postgresql://u:ge@heim@db/ledger", "percent-encoded"),
        ("postgresql://u:p@one:1,two:2/ledger?password=geheim", "cannot be parsed"),
        ("postgresql://u:geheim@db/ledger?timeout=soon", "timeout 'soon' is not a number of seconds"),
        ("sqlite://ledger.db", "SQLite has no host 'ledger.db'"),
        ("postgresql://u:geheim@127.0.0.1:1/ledger", r"ledger postgresql\+psycopg://u:\*\*\*@127.0.0.1:1/ledger: "),
        ("postgresql://127.0.0.1:1/ledger?user=u&password=geheim", r"ledger postgresql\+psycopg://127.0.0.1:1/ledger"),
        ("postgresql://127.0.0.1:1/ledger?pasword=geheim", 'invalid connection option "pasword"'),
    ],
)
def test_a_url_that_cannot_be_used_is_an_error_that_shows_no_password(url: str, problem: str) -> None:
    with pytest.raises(LedgerError, match=problem) as caught:
        Ledger.open(url)
    whole = "".join(traceback.format_exception(caught.value))
    assert "geheim" not in whole
    assert "heim@" not in whole


def test_a_driver_that_is_not_installed_is_an_error_that_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(LedgerError, match=r"psycopg is not installed; pip install 'pareta-pipelines\[postgres\]'"):
        Ledger.open("postgresql://127.0.0.1/ledger")


@pytest.mark.parametrize("content", [b"no database at all, " * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_damaged_file_is_an_error_that_says_restore_a_backup(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ledger.db").write_bytes(content)
    with pytest.raises(LedgerError, match=r"ledger sqlite:///.*ledger\.db: .*; restore a backup of the file"):
        Ledger.open(f"sqlite:///{tmp_path}/ledger.db")


@pytest.mark.parametrize("rest", ["a\0b.db", "x" * 300, "l.db?timeout=soon", "l.db?cached_statements=many"])
def test_a_path_or_an_option_that_cannot_be_used_is_an_error_of_one_line(tmp_path: Path, rest: str) -> None:
    with pytest.raises(LedgerError, match=r"; correct PARETA_LEDGER_URL$") as caught:
        Ledger.open(f"sqlite:///{tmp_path}/{rest}")
    assert "\n" not in str(caught.value)


def test_an_error_of_several_lines_is_told_in_one() -> None:
    with pytest.raises(LedgerError, match="Connection refused Is the server running") as caught:
        Ledger.open("postgresql://127.0.0.1:1/ledger")
    assert "\n" not in str(caught.value)


def test_a_folder_is_an_error_that_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="set PARETA_LEDGER_URL to a database that can be written"):
        Ledger.open(f"sqlite:///{tmp_path}")


def test_the_environment_names_the_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARETA_LEDGER_URL", f"sqlite+aiosqlite:///{tmp_path}/by-name.db")
    Ledger.open().close()
    assert (tmp_path / "by-name.db").exists()
