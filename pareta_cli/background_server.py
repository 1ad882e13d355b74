"""Prefect server in the background: found again by a lock on a file in its folder, and stopped by its process id.

The server inherits the lock and holds it as long as it lives. So a stale state file is recognized, even if its process
id belongs to another process now.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from pareta_cli.prefect_server import (
    MODULE,
    ServerError,
    api_url,
    is_free,
    server_arguments,
    server_environment,
    wait_until_ready,
)

STOP_WITHIN_S = 15.0
"""Seconds from SIGTERM until the server is killed. Raising it gives a busy server longer to finish."""
POLL_INTERVAL_S = 0.05
"""Seconds between two looks at the lock. Raising it delays the end of `--stop`."""


@dataclass(frozen=True)
class ServerState:
    """A running server: its process and the value of PREFECT_API_URL."""

    pid: int
    api_url: str


def start_server(home: Path, port: int, notify: Callable[[str], None]) -> tuple[ServerState, bool]:
    """Start a server with all files under `home`, unless one runs; return it when it is ready.

    The second value is whether it was started now. Raises ServerError.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        with _locked(home) as lock:
            if lock is None:
                server = _running(home)
                wait_until_ready(server.api_url, lambda: not _is_locked(home), log_of(home))
                return server, False
            if not is_free(port):
                raise ServerError(f"port {port}: in use; choose another one with --port")
            notify("starting a Prefect server (10 to 30 s the first time) …")
            return _start(home, port, lock), True
    except OSError as error:
        raise ServerError(f"folder {str(home)!r}: {error.strerror}; choose another one with --home") from None


def stop_server(home: Path) -> ServerState | None:
    """Stop the server of a folder and return it, or None if none runs. Raises ServerError."""
    if not home.is_dir():
        return None
    with _locked(home) as lock:
        if lock is not None:
            _state_file(home).unlink(missing_ok=True)
            return None
    server = _running(home)
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.kill(server.pid, number)
        if _ends(home):
            return server
    raise ServerError(f"Prefect server: process {server.pid} does not end; stop it by hand")


def log_of(home: Path) -> Path:
    """Return the path of the server's log."""
    return home / "server.log"


def _start(home: Path, port: int, lock: int) -> ServerState:
    with log_of(home).open("a", encoding="utf-8") as log:
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", MODULE, *server_arguments(port)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=server_environment(home, port),
            pass_fds=(lock,),
            start_new_session=True,
        )
    server = ServerState(process.pid, api_url(port))
    try:
        _state_file(home).write_text(json.dumps(asdict(server)), encoding="utf-8")
        wait_until_ready(server.api_url, lambda: process.poll() is not None, log_of(home))
    except BaseException:
        process.kill()
        process.wait()
        raise
    return server


def _running(home: Path) -> ServerState:
    try:
        return ServerState(**json.loads(_state_file(home).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise ServerError(f"Prefect server in {str(home)!r}: another command starts it now; try again") from None


def _ends(home: Path) -> bool:
    deadline = time.monotonic() + STOP_WITHIN_S
    while _is_locked(home):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_INTERVAL_S)
    _state_file(home).unlink(missing_ok=True)
    return True


def _is_locked(home: Path) -> bool:
    with _locked(home) as lock:
        return lock is None


@contextmanager
def _locked(home: Path) -> Iterator[int | None]:
    """Yield the descriptor of the folder's lock, or None while a server holds it."""
    descriptor = os.open(home / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield descriptor
    finally:
        # A server that was started meanwhile has a copy, and keeps the lock.
        os.close(descriptor)


def _state_file(home: Path) -> Path:
    return home / "server.json"
