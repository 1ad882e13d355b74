"""A large batch in the ledger: `python -m benchmarks.ledger_scale [--rows 2000000] [--store sqlite|postgresql|URL]`.

Registers the rows, registers them again, settles all but one in 10,000, and times the queries of a start. With
`postgresql` it starts a server of its own, which does not sync to disk, and measures the CPU time of its processes.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from benchmarks.client import table
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.outcomes import Tally
from pareta_batch.ledger.schema import rows as rows_table
from pareta_batch.ledger.schema import shards
from pareta_batch.rows.requests import RowRequest
from tests.batch import postgres

MISSING_EVERY_ROWS = 10_000
SHARD_ROWS = 500
TEXT = "Which team? My invoice is wrong. " * 17
"""560 bytes: the prompt of the constants in earlier measurements."""


def requests(rows: int) -> Iterator[RowRequest]:
    for n in range(rows):
        yield RowRequest(n, f"row-{n}", f"{n:064x}", ({"role": "user", "content": TEXT},))


def without_ledger(rows: int) -> float:
    """Return the CPU seconds that making the requests takes."""
    before = time.process_time()
    for _ in requests(rows):
        pass
    return time.process_time() - before


class Clock:
    """Durations and CPU times of steps; `server`: the process id of PostgreSQL, if it is on this machine."""

    def __init__(self, rows: int, server: int | None) -> None:
        self._rows = rows
        self._server = server

    def timed(self, name: str, act: Callable[[], object], made: float = 0.0) -> list[str]:
        """Run one step; return its times as table cells, without the CPU seconds that making the requests takes."""
        wall, cpu, server = time.monotonic(), time.process_time(), self._server_cpu()
        act()
        wall, cpu = time.monotonic() - wall - made, time.process_time() - cpu - made
        spent = (cpu, self._server_cpu() - server, wall) if self._server else (cpu, wall)
        return [name, *(f"{1e6 * each / self._rows:.1f}" for each in spent), f"{1000 * wall:,.0f}"]

    def _server_cpu(self) -> float:
        return server_cpu_s(self._server) if self._server else 0.0


def server_cpu_s(server: int) -> float:
    """Return the CPU seconds of a PostgreSQL server, of its processes, and of those that have ended."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if int(path.parent.name) == server:
            ticks += sum(map(int, fields[11:15]))
        elif int(fields[1]) == server:
            ticks += sum(map(int, fields[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def written(ledger: Ledger) -> int:
    """Return the number of rows that PostgreSQL has written; 0 on SQLite."""
    engine = ledger._database.engine
    if engine.dialect.name == "sqlite":
        return 0
    engine.dispose()
    time.sleep(1.0)  # a connection publishes its counts when it ends
    query = "SELECT n_tup_ins + n_tup_upd FROM pg_stat_user_tables WHERE relname = 'rows'"
    with engine.begin() as db:
        return int(db.exec_driver_sql(query).scalar_one())


def settle(ledger: Ledger) -> None:
    """Settle all rows but one in MISSING_EVERY_ROWS, at the price of each token, in one statement."""
    answered = rows_table.c.position % MISSING_EVERY_ROWS != 0
    values = {"state": "settled", "attempts": 1, "answer": "billing", "messages": sa.null(), "prompt_tokens": 140}
    tokens = {"completion_tokens": 5 + rows_table.c.position % 7, "updated_at": datetime.now()}
    billed = {"billed_micro_usd": 140 + 4 * (5 + rows_table.c.position % 7)}
    with ledger.transaction() as db:
        db.execute(shards.update().values(counted=False))
        db.execute(rows_table.update().where(answered).values(**values, **tokens, **billed))
    if not ledger._database.is_sqlite:
        with ledger._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
            db.exec_driver_sql("VACUUM ANALYZE rows")


def measure(url: str, rows: int, server: int | None = None) -> str:
    """Measure all steps on one ledger, and return the table."""
    made, clock = without_ledger(rows), Clock(rows, server)
    ledger = Ledger.open(url)
    found = [clock.timed("register", lambda: ledger.register_rows("large", requests(rows)), made)]
    before = written(ledger)
    found.append(clock.timed("register again", lambda: ledger.register_rows("large", requests(rows)), made))
    rewritten = written(ledger) - before
    settle(ledger)
    end = -(-rows // SHARD_ROWS) * SHARD_ROWS
    found.append(clock.timed("count all shards again", lambda: ledger.recount("large", 0, end)))
    ledger.close()
    opened: list[Ledger] = []
    found.append(clock.timed("open", lambda: opened.append(Ledger.open(url))))
    missing: dict[int, int] = {}
    found.append(
        clock.timed("count the missing", lambda: missing.update(opened[0].missing_shards("large", SHARD_ROWS)))
    )
    tallies: list[Tally] = []
    found.append(clock.timed("tally", lambda: tallies.append(opened[0].tally("large"))))
    assert sum(missing.values()) == tallies[0].pending == -(-rows // MISSING_EVERY_ROWS)
    assert tallies[0].settled == rows - tallies[0].pending
    opened[0].close()
    title = f"{rows:,} rows on {url.partition(':')[0]}; registering again wrote {rewritten:,} of them"
    heads = ["step", "CPU of the client", *(["CPU of the server"] if server else []), "duration µs a row", "ms"]
    return table(title, heads, found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--store", default="postgresql", help="sqlite, postgresql, or the URL of an empty database")
    chosen = parser.parse_args()
    if chosen.store == "postgresql":
        with postgres.server() as running, running.database() as url:
            print(measure(url, chosen.rows, running.process))
    elif chosen.store == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            print(measure(f"sqlite:///{folder}/ledger.db", chosen.rows))
    else:
        print(measure(chosen.store, chosen.rows))


if __name__ == "__main__":
    main()
