"""The command `credentials`: the key of an account as a block on the Prefect server."""

import asyncio
import os
import re
from typing import Annotated

import typer

from pareta_cli.environment import prepare_prefect
from pareta_cli.lifeline import KEY
from pareta_cli.options import announce, bad_input, report_bad_input

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def credentials(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the block, as in pareta-prod.")],
) -> None:
    """Save PARETA_API_KEY and PARETA_BASE_URL as a credentials block on the Prefect server.

    A spec uses it with `credentials: NAME`. A block of this name is replaced.
    """
    if NAME.fullmatch(name) is None:
        raise bad_input(f"credentials {name!r:.80}: not a valid name; use a-z, 0-9 and -, as in pareta-prod")
    key = os.environ.get(KEY)
    if not key:
        raise bad_input(f"credentials {name!r}: {KEY} is not set; set it to the key of the account")
    announce(f"saving credentials {name!r}")
    prepare_prefect()
    import httpx
    from prefect.exceptions import PrefectException

    from pareta_client import AsyncPareta
    from tasks import NEEDS_API, save_credentials, uses_prefect

    if not uses_prefect():
        raise bad_input(f"credentials {name!r}: {NEEDS_API}")
    with report_bad_input():
        # A client that is not used: it checks the key and the address.
        base_url = AsyncPareta.from_env().base_url
    try:
        asyncio.run(save_credentials(name, key, base_url))
    except (httpx.HTTPError, PrefectException) as error:
        raise bad_input(f"Prefect server: {type(error).__name__}: {error}; repeat the command", status=3) from None
    typer.echo(f"credentials {name!r} saved for {base_url}; use them with `credentials: {name}` in a spec")
