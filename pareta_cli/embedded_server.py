"""Prefect's embedded server as a child process that ends with this process and gets no key and no ledger URL."""

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import prefect
from prefect.settings import get_current_settings

from pareta_cli.lifeline import start_child

if TYPE_CHECKING:
    from prefect.server.api.server import SubprocessASGIServer

LOG = "embedded-server.log"
APP = "prefect.server.api.server:create_app"
LEDGER = "PARETA_LEDGER_URL"  # can hold a password


def bind_embedded_server() -> None:
    """Change Prefect so that its embedded server, if needed, is a child that ends with this process.

    Prefect's own child survives kill -9 of the command, and keeps its environment, terminal and pipes.
    """
    if get_current_settings().api.url is not None:
        return
    # Import only now: it takes seconds, and a run on a standing server does not need it.
    from prefect.server.api.server import SubprocessASGIServer

    SubprocessASGIServer._run_uvicorn_command = _start_server  # type: ignore[assignment, method-assign]


def _start_server(server: "SubprocessASGIServer") -> subprocess.Popen[str]:
    settings = get_current_settings()
    environment = {name: value for name, value in os.environ.items() if name != LEDGER}
    environment |= {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
    environment |= settings.to_environment_variables(exclude_unset=True)
    folder = str(Path(prefect.__file__).parents[1])
    options = ("--app-dir", folder, "--factory", APP, "--host", "127.0.0.1", "--port", str(server.port))
    settings.home.mkdir(parents=True, exist_ok=True)
    with (settings.home / LOG).open("w", encoding="utf-8") as log:
        return start_child(
            "uvicorn",
            (*options, "--log-level", "error", "--lifespan", "on"),
            stdout=log,
            stderr=log,
            environment=environment,
        )
