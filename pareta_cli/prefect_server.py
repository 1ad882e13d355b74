"""Process of a local Prefect server: its arguments, its environment, and the wait until it is ready."""

import os
import socket
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import httpx

from pareta_cli.lifeline import without_key

MODULE = "uvicorn"
APP = "prefect.server.api.server:create_app"
HOST = "127.0.0.1"
LEDGER = "PARETA_LEDGER_URL"  # can hold a password
LEASES_IN_FILES = "prefect.server.concurrency.lease_storage.filesystem"
READY_WITHIN_S = 120.0
"""Seconds for a server to answer; its first start creates a database. Raising it delays the report of a hung server."""
POLL_INTERVAL_S = 0.1
"""Seconds between two probes. Raising it delays the start."""


class ServerError(Exception):
    """A local Prefect server that cannot be started or stopped; the message names the next step."""


def server_arguments(port: int) -> tuple[str, ...]:
    """Return the arguments of `python -m uvicorn`."""
    package = find_spec("prefect")
    # Else uvicorn puts the current folder on the path, where a file may hide a package.
    folder = str(Path(package.origin).parents[1]) if package and package.origin else ""
    options = ("--host", HOST, "--port", str(port), "--log-level", "warning", "--lifespan", "on")
    return ("--app-dir", folder, "--factory", APP, *options)


def server_environment(home: Path, port: int) -> dict[str, str]:
    """Return the environment of a server with all files under `home`, without the key and the ledger's URL."""
    home = home.resolve()
    ours = {
        name: value
        for name, value in without_key().items()
        if name != LEDGER and (not name.startswith("PREFECT_") or name.startswith("PREFECT_SERVER_"))
    }
    # With leases in files, the server can be restarted during runs.
    ours.setdefault("PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE", LEASES_IN_FILES)
    return ours | {
        "PREFECT_HOME": str(home),
        "PREFECT_PROFILES_PATH": str(home / "profiles.toml"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_API_URL": api_url(port),
        "PREFECT__SERVER_FINAL": "1",
    }


def api_url(port: int) -> str:
    """Return the value of PREFECT_API_URL for a server on this port."""
    return f"http://{HOST}:{port}/api"


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Return whether a server can listen on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def wait_until_ready(url: str, has_ended: Callable[[], bool], log: Path) -> None:
    """Wait until the server at an API URL answers. Raises ServerError if its process ends first, or too late."""
    deadline = time.monotonic() + READY_WITHIN_S
    with httpx.Client(trust_env=False, timeout=10) as client:  # no proxy
        while not _is_healthy(client, url):
            if has_ended():
                raise ServerError(f"Prefect server: ended at its start; read {os.fspath(log)!r}")
            if time.monotonic() > deadline:
                raise ServerError(f"Prefect server: not ready after {READY_WITHIN_S:.0f} s; read {os.fspath(log)!r}")
            time.sleep(POLL_INTERVAL_S)


def _is_healthy(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(f"{url}/health").is_success
    except httpx.TransportError:
        return False
