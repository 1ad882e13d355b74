"""Processes that can be killed: forked from one that has imported everything once, they start at once."""

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import Any

FORKS = multiprocessing.get_context("forkserver")


@contextmanager
def forked(run: Callable[..., None], *given: Any) -> Iterator[BaseProcess]:  # whatever `run` takes
    """Run a function in another process; it is killed, as by `kill -9`, if it is still there at the end."""
    process = FORKS.Process(target=run, args=given)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()
