"""Command that starts and stops a local Prefect server in the background."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from pareta_cli.options import bad_input

HOME = Path(".pareta/prefect-server")
PORT = 4200


def server(
    stop: Annotated[bool, typer.Option("--stop", help="Stop the server.")] = False,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = PORT,
    home: Annotated[Path, typer.Option(help="Folder of its database, log and state.")] = HOME,
) -> None:
    """Start a local Prefect server in the background, for those who want its UI."""
    from pareta_cli.prefect_server import ServerError

    try:
        _stop(home) if stop else _start(home, port)
    except ServerError as error:
        raise bad_input(error) from None


def stop_command(home: Path) -> str:
    """Return the command that stops the server of a folder."""
    return "pareta-pipeline server --stop" + ("" if home == HOME else f" --home {home}")


def _start(home: Path, port: int) -> None:
    from pareta_cli.background_server import log_of, start_server

    running, started = start_server(home, port, partial(typer.echo, err=True))
    ui = running.api_url.removesuffix("/api")
    typer.echo(f"Prefect server {'ready' if started else 'already running'}: {ui}")
    typer.echo(f"use it:  export PREFECT_API_URL={running.api_url}")
    typer.echo(f"stop it: {stop_command(home)}")
    typer.echo(f"process {running.pid}, log {log_of(home)}")


def _stop(home: Path) -> None:
    from pareta_cli.background_server import stop_server

    stopped = stop_server(home)
    typer.echo(f"Prefect server stopped: process {stopped.pid}" if stopped else f"no Prefect server runs in {home}")
