"""Processes of a test session: started with a home of their own, and none left when it ends, however it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

Found = TypeVar("Found")

GRACE_S = 60.0
MARK = "PARETA_TEST_HOME"


def until(look: Callable[[], Found | None], *, within_s: float, what: str) -> Found:
    """Look again and again until there is something to give back; fails after the deadline, saying what was missing."""
    deadline = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {within_s:.0f} s: {what}"
        time.sleep(0.05)
    return found


class Processes:
    """Starts processes that carry a mark in their environment, by which they and their children are found again."""

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        self.home = home
        self.environment = {**_clean(os.environ), **environment, MARK: str(home)}
        self._started: list[subprocess.Popen[str]] = []

    def start(self, name: str, *command: str, folder: Path) -> int:
        """Start a process in a session of its own, whose output goes to its log; give its id."""
        with self.log(name).open("a") as log:
            process = subprocess.Popen(
                _resolved(command),
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                cwd=folder,
                env=self.environment,
                start_new_session=True,
            )
        self._started.append(process)
        return process.pid

    def piped(self, *command: str, folder: Path, **options: Any) -> "subprocess.Popen[str]":  # any option of Popen
        """Start a process whose outputs are pipes, unless the options differ."""
        given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
        process = subprocess.Popen(_resolved(command), cwd=folder, env=self.environment, **given)
        self._started.append(process)
        return process

    def run(self, *command: str, folder: Path, within_s: float = 300) -> str:
        """Run a command and return its output; raise with the output unless it exits with 0."""
        ended = subprocess.run(
            _resolved(command),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            env=self.environment,
            timeout=within_s,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout
        return ended.stdout

    def log(self, name: str) -> Path:
        """Return the path of the log of a process."""
        return self.home / f"{name}.log"

    def alive(self) -> list[int]:
        """Find every process that carries the mark."""
        mark = f"{MARK}={self.home}".encode()
        return [pid for pid in _all_pids() if mark in _environment_of(pid)]

    def end_all(self) -> None:
        """Kill them all: whatever they would still write is thrown away. Asked to end, a worker takes its time."""
        deadline = time.monotonic() + GRACE_S
        while (left := self.alive()) and time.monotonic() < deadline:
            for pid in left:
                kill(pid)
            self._reap()
            time.sleep(0.05)
        for process in self._started:
            process.kill()
            with process:  # closes its pipes
                pass

    def _reap(self) -> None:
        for process in self._started:
            process.poll()


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal, unless the process has ended meanwhile."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


@contextmanager
def processes(home: Path, **environment: str) -> Iterator[Processes]:
    """Yield a starter of processes, and end all its processes at the end."""
    started = Processes(home, environment)
    try:
        yield started
    finally:
        started.end_all()


def _resolved(command: Sequence[str]) -> list[str]:
    """Name a program of this environment by its path."""
    return [str(Path(sys.executable).with_name(command[0])), *command[1:]]


def _clean(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith(("PREFECT_", "PARETA_"))}


def _all_pids() -> Sequence[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _environment_of(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except (OSError, ValueError):  # ended, or not ours
        return []
