"""Credentials of the service: a Prefect block that hides the key, or else the environment."""

import logging
from typing import ClassVar

from prefect.blocks.core import Block
from pydantic import Field, HttpUrl, SecretStr

from pareta_client import AsyncPareta

# Relative: in a process of other software, another package may be named `tasks`.
from .direct import uses_prefect

BLOCK_NAME = "pareta"
log = logging.getLogger(__name__)


class ParetaCredentials(Block):
    """Key and address of the Pareta inference service."""

    _block_type_name: ClassVar[str] = "Pareta Credentials"
    _block_type_slug: ClassVar[str] = "pareta-credentials"
    _logo_url: ClassVar[HttpUrl] = HttpUrl("https://github.com/Pareta-AI.png")
    _documentation_url: ClassVar[HttpUrl] = HttpUrl("https://docs.pareta.ai")
    _description: ClassVar[str] = "API key and base URL of the Pareta inference service."
    _code_example: ClassVar[str] = """```python
from tasks.credentials import ParetaCredentials

credentials = await ParetaCredentials.aload("pareta")
async with credentials.get_client() as pareta:
    print(await pareta.models.list())
```"""

    api_key: SecretStr = Field(title="API key", description="Starts with pareta_sk_")
    base_url: str | None = Field(None, title="Base URL", description="By default PARETA_BASE_URL, else the service's")

    def get_client(self) -> AsyncPareta:
        """Return a new client; the caller closes it."""
        return AsyncPareta.from_env(
            api_key=self.api_key.get_secret_value(), **({"base_url": self.base_url} if self.base_url else {})
        )


async def make_client() -> AsyncPareta:
    """Return a new client from the block named `pareta`, else from PARETA_API_KEY and PARETA_BASE_URL.

    Only a Prefect API has blocks. Raises ParetaError if neither exists.
    """
    if not uses_prefect():
        return AsyncPareta.from_env()
    try:
        credentials: ParetaCredentials = await ParetaCredentials.aload(BLOCK_NAME)
    except ValueError:
        # Prefect raises ValueError for a block that does not exist.
        log.debug("no block %r: using the key of the environment", BLOCK_NAME)
        return AsyncPareta.from_env()
    return credentials.get_client()
