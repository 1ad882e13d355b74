"""A PostgreSQL server of the test's own, where its programs are installed."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def server() -> Iterator[str]:
    """Run a server on a free port and give its URL; skips the test where there is none."""
    initdb, postgres = _program("initdb"), _program("postgres")
    folder = Path(tempfile.mkdtemp(prefix="pareta-postgres-"))
    # The server refuses to run as root.
    user = _anybody_but_root()
    if user:
        shutil.chown(folder, user)
    subprocess.run([initdb, "-D", str(folder), "-A", "trust", "-U", "pareta"], check=True, user=user, stdout=-3)
    port = _free_port()
    options = [
        "-D",
        str(folder),
        "-p",
        str(port),
        "-k",
        str(folder),
        "-c",
        "listen_addresses=127.0.0.1",
        "-c",
        "fsync=off",
    ]
    process = subprocess.Popen([postgres, *options], user=user, stdout=-3, stderr=-3)
    try:
        _wait_for(port, process)
        yield f"postgresql+psycopg://pareta@127.0.0.1:{port}/postgres"
    finally:
        process.terminate()
        process.wait(timeout=30)
        shutil.rmtree(folder)


def _program(name: str) -> str:
    beside_its_libraries = sorted(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")))
    found = shutil.which(name) or next(reversed(beside_its_libraries), None)
    if found is None:
        pytest.skip(f"PostgreSQL is not installed: no {name}")
    return found


def _anybody_but_root() -> str | None:
    if os.getuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    # Blocking attempts, each of which waits for the kernel, not for a clock.
    for _ in range(100_000):
        assert process.poll() is None, "PostgreSQL did not start"
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
