"""Clients of the service with the credentials of a run: a block of Prefect, or else the environment."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from pydantic import ValidationError

from pareta_client import AsyncPareta, ParetaError

# Relative: in a process of other software, another package may be named `tasks`.
from .direct import NEEDS_API, uses_prefect

BLOCK_NAME = "pareta"
log = logging.getLogger(__name__)

_current: ContextVar[str | None] = ContextVar("credentials", default=None)


@contextmanager
def use_credentials(name: str | None) -> Iterator[None]:
    """Use the block of this name for the clients that are made in the body; None changes nothing."""
    token = _current.set(name or _current.get())
    try:
        yield
    finally:
        _current.reset(token)


def current_credentials() -> str | None:
    """Return the name of the block in use; None for the default account."""
    return _current.get()


async def make_client(credentials: str | None = None) -> AsyncPareta:
    """Return a new client from the block of this name, by default the one in use.

    Without a name: from the block named `pareta`, else from PARETA_API_KEY and PARETA_BASE_URL. Only a Prefect API has
    blocks. Raises ParetaError if the named block or the environment lacks a key.
    """
    name = credentials or current_credentials()
    save = f"set PARETA_API_KEY to its key, then run: pareta-pipeline credentials {name or BLOCK_NAME}"
    if not uses_prefect():
        if name is not None:
            raise ParetaError(f"credentials {name!r}: {NEEDS_API}, or remove credentials and set PARETA_API_KEY")
        return AsyncPareta.from_env()
    # Only now: the block is a class of Prefect.
    from .credentials import ParetaCredentials

    try:
        block: ParetaCredentials = await ParetaCredentials.aload(name or BLOCK_NAME)
    except ValidationError:
        # Its text has the content of the block.
        raise ParetaError(f"credentials {name or BLOCK_NAME!r}: not a valid block; {save}") from None
    except ValueError:
        # Prefect raises ValueError for a block that does not exist.
        if name is not None:
            raise ParetaError(f"credentials {name!r}: no such block on the Prefect server; {save}") from None
        log.debug("no block %r: using the key of the environment", BLOCK_NAME)
        return AsyncPareta.from_env()
    return block.get_client()
