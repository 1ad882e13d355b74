"""Child processes that end with this process, even after SIGKILL, and inherit neither its pipes nor the key.

`python -m pareta_cli.lifeline MODULE ARGUMENT…` runs a module until its standard input ends. The parent holds the other
end of that pipe, and the kernel closes it even after SIGKILL. The alternative, PR_SET_PDEATHSIG, is Linux only and
bound to the thread that started the child.
"""

import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import IO

KEY = "PARETA_API_KEY"
STOP_WITHIN_S = 5.0
"""Seconds from the parent's end until the child exits. Raising it gives the child longer to finish."""

_lifelines: list[int] = []  # pipe ends, open until this process ends


def without_key(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return an environment without the key of the service."""
    return {name: value for name, value in environment.items() if name != KEY}


def start_child(
    module: str,
    arguments: Sequence[str],
    *,
    stdout: int | IO[str] = subprocess.DEVNULL,
    stderr: int | IO[str] = subprocess.DEVNULL,
    environment: Mapping[str, str] = os.environ,
) -> subprocess.Popen[str]:
    """Start a module as a child that ends with this process, in its own session, so no terminal signals it."""
    reader, writer = os.pipe()
    _lifelines.append(writer)
    try:
        return subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "pareta_cli.lifeline", module, *arguments],
            stdin=reader,
            stdout=stdout,
            stderr=stderr,
            env=without_key(environment),
            text=True,
            start_new_session=True,
        )
    finally:
        os.close(reader)


def main() -> None:
    """Run the module that the arguments name until standard input ends."""
    threading.Thread(target=_end_with_parent, name="lifeline", daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(STOP_WITHIN_S)
    os._exit(1)


if __name__ == "__main__":
    main()
