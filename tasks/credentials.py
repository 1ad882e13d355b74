"""Credentials of the service as a Prefect block, which hides the key."""

from typing import ClassVar

from prefect.blocks.abstract import CredentialsBlock
from pydantic import Field, HttpUrl, SecretStr

from pareta_client import AsyncPareta


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


async def save_credentials(name: str, api_key: str, base_url: str | None) -> None:
    """Create or replace the block of this name on the Prefect server."""
    await ParetaCredentials.register_type_and_schema()
    await ParetaCredentials(api_key=SecretStr(api_key), base_url=base_url).save(name, overwrite=True)
