"""Credentials of the service: a Prefect block that hides the key, or else the environment."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import ClassVar

from prefect.blocks.abstract import CredentialsBlock
from pydantic import Field, HttpUrl, SecretStr, ValidationError

from pareta_client import AsyncPareta, ParetaError

# Relative: in a process of other software, another package may be named `tasks`.
from .direct import NEEDS_API, uses_prefect

BLOCK_NAME = "pareta"
log = logging.getLogger(__name__)

_current: ContextVar[str | None] = ContextVar("credentials", default=None)


class ParetaCredentials(CredentialsBlock):
    """Key and address of the Pareta inference service."""

    _block_type_name: ClassVar[str] = "Pareta Credentials"
    _block_type_slug: ClassVar[str] = "pareta-credentials"
    _logo_url: ClassVar[HttpUrl] = HttpUrl("https://github.com/Pareta-AI.png")
    _documentation_url: ClassVar[HttpUrl] = HttpUrl("https://docs.pareta.ai")
    _description: ClassVar[str] = "API key and base URL of the Pareta inference service."
    _code_example: ClassVar[str] = """```python
from tasks.credentials import ParetaCredentials

credentials = ParetaCredentials.load("BLOCK_NAME")
async with credentials.get_client() as pareta:
    print(await pareta.models.list())
```"""

    api_key: SecretStr = Field(title="API key", description="Key of the account; it starts with pareta_sk_.")
    base_url: str | None = Field(
        None, title="Base URL", description="Address of the service; by default PARETA_BASE_URL, else the public one."
    )

    def get_client(self) -> AsyncPareta:
        """Return a new client; the caller closes it."""
        return AsyncPareta.from_env(
            api_key=self.api_key.get_secret_value(), **({"base_url": self.base_url} if self.base_url else {})
        )


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


async def save_credentials(name: str, api_key: str, base_url: str | None) -> None:
    """Create or replace the block of this name on the Prefect server."""
    await ParetaCredentials.register_type_and_schema()
    await ParetaCredentials(api_key=SecretStr(api_key), base_url=base_url).save(name, overwrite=True)
