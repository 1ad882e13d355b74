"""A Prefect server on SQLite answers while a statement that failed is collected as garbage."""

import asyncio
import gc
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiosqlite
import pytest
from aiosqlite import Cursor
from prefect.server.database.configurations import AioSqliteConfiguration
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pareta_cli.failed_statements import METHODS, close_failed_statements

LOCKED = "database is locked"
ON_PYTHON_3_11 = sys.version_info < (3, 12)


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    """Yield the engine of a Prefect server with a database of its own."""
    engine = await AioSqliteConfiguration(f"sqlite+aiosqlite:///{tmp_path / 'prefect.db'}").engine()
    yield engine
    await engine.dispose()


@pytest.fixture(autouse=True)
def _collects_when_told() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def _unrepaired(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in METHODS:
        method = getattr(Cursor, name)
        monkeypatch.setattr(Cursor, name, getattr(method, "__wrapped__", method))


async def fail(connection: AsyncConnection, other: AsyncConnection) -> None:
    """Make a statement fail as it does when two flow runs are created at once, and leave garbage in a cycle."""
    await connection.exec_driver_sql("BEGIN")
    await connection.exec_driver_sql("SELECT * FROM runs")
    await other.exec_driver_sql("INSERT INTO runs VALUES (1)")
    with pytest.raises(OperationalError, match=LOCKED) as failed:
        await connection.exec_driver_sql("INSERT INTO runs VALUES (2)")
    cycle: list[object] = [failed.value]
    cycle.append(cycle)
    await connection.rollback()


async def begin(connection: AsyncConnection) -> asyncio.Task[object]:
    """Begin to write, and return when SQLite has the statement."""
    driver = (await connection.get_raw_connection()).driver_connection
    assert driver is not None
    loop, entered = asyncio.get_running_loop(), asyncio.Event()
    await driver.set_trace_callback(lambda statement: loop.call_soon_threadsafe(entered.set))
    writing = asyncio.ensure_future(connection.exec_driver_sql("BEGIN IMMEDIATE"))
    await asyncio.wait_for(entered.wait(), timeout=60)
    return writing


async def collect_while_one_waits_for_the_other(engine: AsyncEngine, busy_timeout_s: int) -> None:
    """Collect what a failed statement left, while its connection waits for a transaction that needs this loop."""
    async with engine.connect() as connection, engine.connect() as other:
        await connection.exec_driver_sql("CREATE TABLE runs (id INTEGER)")
        await fail(connection, other)
        await connection.exec_driver_sql(f"PRAGMA busy_timeout = {busy_timeout_s * 1000}")
        await other.exec_driver_sql("BEGIN IMMEDIATE")
        writing = await begin(connection)
        gc.collect()
        await other.commit()
        await writing


async def test_the_garbage_of_a_failed_statement_does_not_stop_the_server(engine: AsyncEngine) -> None:
    close_failed_statements()
    await collect_while_one_waits_for_the_other(engine, busy_timeout_s=60)


@pytest.mark.long
@pytest.mark.skipif(not ON_PYTHON_3_11, reason="Python 3.12 resets a statement that fails")
@pytest.mark.usefixtures("_unrepaired")
async def test_without_the_patch_it_stops_the_server_until_the_lock_times_out(engine: AsyncEngine) -> None:
    with pytest.raises(OperationalError, match=LOCKED):
        await collect_while_one_waits_for_the_other(engine, busy_timeout_s=2)


async def test_the_error_of_a_failed_statement_is_the_same(engine: AsyncEngine) -> None:
    close_failed_statements()
    async with engine.connect() as connection:
        with pytest.raises(OperationalError, match="no such table: runs"):
            await connection.exec_driver_sql("SELECT * FROM runs")


async def test_the_error_of_a_closed_connection_is_the_same() -> None:
    close_failed_statements()
    async with aiosqlite.connect(":memory:") as connection:
        cursor = await connection.cursor()
    with pytest.raises(ValueError, match=r"Connection closed|no active connection"):
        await cursor.execute("SELECT 1")


SERVER = """
import asyncio
from aiosqlite import Cursor
from prefect.server.api.server import _memoize_block_auto_registration

async def register() -> None:
    print(hasattr(Cursor.execute, "__wrapped__"))

asyncio.run(_memoize_block_auto_registration(register)())
"""
CLIENT = """
from aiosqlite import Cursor
from prefect.plugins import load_prefect_collections

load_prefect_collections()
print(hasattr(Cursor.execute, "__wrapped__"))
"""


@pytest.mark.long
@pytest.mark.parametrize(("program", "patched"), [(SERVER, ON_PYTHON_3_11), (CLIENT, False)], ids=["server", "client"])
def test_a_prefect_server_has_the_patch_before_it_starts_and_a_client_never(
    program: str, patched: bool, tmp_path: Path
) -> None:
    (tmp_path / "start.py").write_text(program, encoding="utf-8")
    environment = {"PREFECT_HOME": str(tmp_path), "PATH": ""}
    run = subprocess.run(
        [sys.executable, "start.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert run.stdout == f"{patched}\n", run.stderr
