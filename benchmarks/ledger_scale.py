"""A large batch in the ledger: `python -m benchmarks.ledger_scale [--rows 2000000] [--store sqlite|postgresql|URL]`.

Registers the rows, registers them again, settles all but one in 10,000, times the queries of a start, and writes the
answers as parts. With `postgresql` it starts a server of its own, which does not sync to disk, and measures the CPU of
its processes.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from benchmarks.client import table
from pareta_batch.answers import write_output
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.schema import rows as rows_table
from pareta_batch.ledger.schema import shards
from pareta_batch.rows.requests import RowRequest
from pareta_batch.spec import Batch
from tests.batch import postgres

MISSING_EVERY_ROWS = 10_000
SHARD_ROWS = 500
QUERIES = 20
"""Repetitions of each query of a start; higher resolves shorter ones."""
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

    def timed(self, name: str, act: Callable[[], object], made: float = 0.0, times: int = 1) -> list[str]:
        """Run one step `times` times; return the means as table cells, without the CPU seconds of making requests."""
        wall, cpu, server = time.monotonic(), time.process_time(), self._server_cpu()
        for _ in range(times):
            act()
        wall, cpu = (time.monotonic() - wall) / times, (time.process_time() - cpu - made) / times
        spent = (cpu, (self._server_cpu() - server) / times) if self._server else (cpu,)
        per_row = (f"{1e6 * each / self._rows:.1f}" for each in spent)
        return [name, *per_row, f"{1000 * sum(spent):,.0f}", f"{1000 * wall:,.0f}"]

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


def bytes_a_row(ledger: Ledger, rows: int) -> str:
    """Return the size of the ledger divided by the number of rows."""
    if ledger.file is not None:
        return f"{sum(path.stat().st_size for path in ledger.file.parent.glob(f'{ledger.file.name}*')) / rows:,.0f}"
    with ledger.transaction() as db:
        return f"{db.exec_driver_sql('SELECT pg_database_size(current_database())').scalar_one() / rows:,.0f}"


def batch_of(folder: Path, rows: int) -> Batch:
    """Return the batch of the rows, with a dataset and an output folder."""
    dataset = folder / "rows.parquet"
    pq.write_table(pa.table({"id": [f"row-{n}" for n in range(rows)], "text": [TEXT] * rows}), dataset)
    output = f"{folder}/answers/"
    return Batch(name="large", model="auto", dataset=str(dataset), id_column="id", prompt="{text}", output=output)


def measure(url: str, rows: int, folder: Path, server: int | None = None) -> str:
    """Measure all steps on one ledger, and return the table."""
    made, clock = without_ledger(rows), Clock(rows, server)
    ledger = Ledger.open(url)
    found = [clock.timed("register", lambda: ledger.register_rows("large", requests(rows)), made)]
    before, pending = written(ledger), bytes_a_row(ledger, rows)
    found.append(clock.timed("register again", lambda: ledger.register_rows("large", requests(rows)), made))
    rewritten = written(ledger) - before
    settle(ledger)
    end = -(-rows // SHARD_ROWS) * SHARD_ROWS
    found.append(clock.timed("count all shards again", lambda: ledger.recount("large", 0, end)))
    ledger.close()
    found += queries(clock, url, rows)
    ledger = Ledger.open(url)
    found.append(clock.timed("write the parts", lambda: write_output(batch_of(folder, rows), ledger)))
    settled = bytes_a_row(ledger, rows)
    ledger.close()
    title = (
        f"{rows:,} rows on {url.partition(':')[0]}; registering again wrote {rewritten:,} of them; {pending} bytes a "
        f"row, {settled} once all were answered"
    )
    heads = ["step", "client µs a row", *(["server µs a row"] if server else []), "CPU ms", "duration ms"]
    return table(title, heads, found)


def queries(clock: Clock, url: str, rows: int) -> list[list[str]]:
    """Measure the queries at the start of a run, and return their table rows."""
    opened = Ledger.open(url)
    missing, tally = opened.missing_shards("large", SHARD_ROWS), opened.tally("large")
    assert sum(missing.values()) == tally.pending == -(-rows // MISSING_EVERY_ROWS)
    assert tally.settled == rows - tally.pending
    found = [
        clock.timed("open", lambda: Ledger.open(url).close(), times=QUERIES),
        clock.timed("count the missing", lambda: opened.missing_shards("large", SHARD_ROWS), times=QUERIES),
        clock.timed("tally", lambda: opened.tally("large"), times=QUERIES),
    ]
    opened.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--store", default="postgresql", help="sqlite, postgresql, or the URL of an empty database")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(run(chosen.store, chosen.rows, Path(folder)))


def run(store: str, rows: int, folder: Path) -> str:
    """Measure on the chosen ledger, and return the table."""
    if store == "postgresql":
        with postgres.server() as running, running.database() as url:
            return measure(url, rows, folder, running.process)
    return measure(f"sqlite:///{folder}/ledger.db" if store == "sqlite" else store, rows, folder)


if __name__ == "__main__":
    main()
