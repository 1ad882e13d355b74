"""A PostgreSQL server of the tests' own, where its programs are installed: one server, a database per test."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest

from tests.ports import free_port

SETTINGS = ("listen_addresses=127.0.0.1", "fsync=off", "autovacuum=off", "max_connections=100")
STARTS_WITHIN_S = 60.0


class Server:
    """A server on a free port; `restart` breaks every connection to it."""

    def __init__(self, folder: Path, user: str | None) -> None:
        self.port = free_port()
        self._folder = folder
        self._user = user
        self._numbers = count()
        self.start()

    @contextmanager
    def database(self) -> Iterator[str]:
        """Create an empty database, yield its URL, and drop it."""
        name = f"ledger_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        try:
            yield f"postgresql://pareta@127.0.0.1:{self.port}/{name}"
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def execute(self, statement: str) -> int:
        """Execute a statement outside of the tests' databases; return the number of rows."""
        with psycopg.connect(self._conninfo, autocommit=True) as db:
            return db.execute(statement.encode()).rowcount

    def start(self) -> None:
        """Start the server, and wait until it accepts connections."""
        options = [part for each in SETTINGS for part in ("-c", each)]
        where = ["-D", str(self._folder), "-p", str(self.port), "-k", str(self._folder)]
        self._process = subprocess.Popen(
            [_program("postgres"), *where, *options],
            user=self._user,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_for(self._process, "PostgreSQL", self._conninfo)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server at once: every connection to it breaks."""
        self._process.send_signal(signal.SIGINT)  # a "fast" shutdown
        self._process.wait(timeout=30)

    @property
    def process(self) -> int:
        """The id of the server's process."""
        return self._process.pid

    @property
    def _conninfo(self) -> str:
        return f"host=127.0.0.1 port={self.port} user=pareta dbname=postgres"


@contextmanager
def server() -> Iterator[Server]:
    """Run a server of the tests' own; skips the test where PostgreSQL is not installed."""
    initdb = _program("initdb")
    folder = Path(tempfile.mkdtemp(prefix="pareta-postgres-"))
    # The server refuses to run as root.
    user = _user_other_than_root()
    if user:
        shutil.chown(folder, user)
    initialize = [initdb, "-D", str(folder), "-A", "trust", "-U", "pareta", "--no-sync", "-E", "UTF8"]
    subprocess.run(initialize, check=True, user=user, stdout=subprocess.DEVNULL)
    running = Server(folder, user)
    try:
        yield running
    finally:
        running.stop()
        shutil.rmtree(folder)


@contextmanager
def pooler(server: Server, url: str, folder: Path) -> Iterator[str]:
    """Run PgBouncer in transaction mode before a database, yield its URL; skips the test where it is not installed."""
    program = _program("pgbouncer")
    port, name = free_port(), url.rpartition("/")[2]
    (folder / "users.txt").write_text('"pareta" ""\n')
    (folder / "pooler.ini").write_text(
        f"[databases]\n{name} = host=127.0.0.1 port={server.port} dbname={name} user=pareta\n[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
        f"auth_file = {folder / 'users.txt'}\npool_mode = transaction\n"
    )
    # It refuses to run as root, and reads its files as another user.
    for each in (folder, *folder.parents):
        if each.owner() == folder.owner() and each != Path(tempfile.gettempdir()):
            each.chmod(each.stat().st_mode | 0o055)
    user = _user_other_than_root()
    command = [program, str(folder / "pooler.ini")]
    process = subprocess.Popen(command, user=user, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(process, "PgBouncer", f"host=127.0.0.1 port={port} user=pareta dbname={name}")
        yield f"postgresql://pareta@127.0.0.1:{port}/{name}"
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_for(process: subprocess.Popen[bytes], name: str, conninfo: str) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while not _accepts(conninfo):
        assert process.poll() is None, f"{name} did not start"
        assert time.monotonic() < deadline, f"{name} does not accept connections"
        time.sleep(0.02)


def _accepts(conninfo: str) -> bool:
    try:
        psycopg.connect(conninfo).close()
    except psycopg.OperationalError:
        return False
    return True


def _program(name: str) -> str:
    beside_its_libraries = sorted(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")))
    found = shutil.which(name) or next(reversed(beside_its_libraries), None)
    if found is None:
        pytest.skip(f"{name} is not installed: .ci/postgresql installs it, or your package manager does")
    return found


def _user_other_than_root() -> str | None:
    if os.getuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
