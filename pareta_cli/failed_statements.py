"""Patch of a Prefect server on SQLite and Python 3.11: a statement that fails is closed at once.

It is closed on the thread of its connection, not by the garbage collector on the event loop.

Reason: docs/decisions/failed-statements-are-closed.md.
"""

import sqlite3
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from aiosqlite import Cursor

METHODS = ("execute", "executemany")

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Method = Callable[Concatenate[Cursor, Parameters], Coroutine[Any, Any, Result]]


def close_failed_statements() -> None:
    """Change the cursors of aiosqlite in this process: an error of SQLite closes the cursor before it is raised."""
    for name in METHODS:
        method = getattr(Cursor, name)
        if not hasattr(method, "__wrapped__"):
            setattr(Cursor, name, _closing(method))


def _closing(method: Method[Parameters, Result]) -> Method[Parameters, Result]:
    @wraps(method)
    async def execute(cursor: Cursor, /, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        try:
            return await method(cursor, *args, **kwargs)
        except sqlite3.Error:
            # The connection may be closed too: the first error is the one to raise.
            with suppress(sqlite3.Error, ValueError):
                await cursor.close()
            raise

    return execute
