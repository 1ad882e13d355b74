"""Processes that can be killed: forked from one that has imported everything once, or with nothing imported."""

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from typing import Any

FORKS = multiprocessing.get_context("forkserver")


def forked(run: Callable[..., None], *given: Any) -> AbstractContextManager[BaseProcess]:  # whatever `run` takes
    """Run a function in another process; it is killed, as by `kill -9`, if it is still there at the end."""
    return _started(FORKS, run, given)


def fresh(run: Callable[..., None], *given: Any) -> AbstractContextManager[BaseProcess]:  # whatever `run` takes
    """Run a function as `forked` does, in a process that imports only what the function needs."""
    return _started(multiprocessing.get_context("spawn"), run, given)


@contextmanager
def _started(
    context: ForkServerContext | SpawnContext, run: Callable[..., None], given: tuple[Any, ...]
) -> Iterator[BaseProcess]:
    process = context.Process(target=run, args=given)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()
