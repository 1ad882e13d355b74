"""Run a sandbox: `python -m pareta_sandbox --port 8765`."""

import argparse
import asyncio
import ipaddress
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path

from pareta_sandbox import cli as remote
from pareta_sandbox.faults import scenario
from pareta_sandbox.http.server import Server
from pareta_sandbox.printing import Parser, open_closed_streams, print_text
from pareta_sandbox.settings import Settings
from pareta_sandbox.state.books import format_books
from pareta_sandbox.state.money import MICRO_PER_USD

WARNING = """
***********************************************************************************************
*** The sandbox listens on {host}: any program that can reach this machine can call it, read its
*** books, change its balance and switch faults. The control routes need no API key.
***********************************************************************************************
"""

COMMANDS = f"Commands to a running sandbox: {', '.join(remote.COMMANDS)} (see `books --help`)."


def main() -> int:
    """Serve until interrupted and print the books, or run a command against a running sandbox."""
    open_closed_streams()
    if sys.argv[1:2] and sys.argv[1] in remote.COMMANDS:
        return remote.run(sys.argv[1:])
    chosen = arguments(sys.argv[1:])
    try:
        day = scenario.load(chosen.scenario) if chosen.scenario else None
        server = Server(settings(chosen))
    except (OSError, OverflowError, sqlite3.Error, scenario.ScenarioError) as error:
        print(start_failure(error), file=sys.stderr)  # noqa: T201
        return 2

    if not is_loopback(chosen.host):
        print(WARNING.format(host=chosen.host), file=sys.stderr)  # noqa: T201

    def ready() -> None:
        if day is not None:
            scenario.begin(server.service, day, chosen.scenario)
        print_text(f"pareta sandbox ready at {server.service.base_url}")

    asyncio.run(_serve(server, ready))
    print_text(format_books(server.service.books.snapshot(debits=False)))
    return 0


def is_loopback(host: str) -> bool:
    """Return whether an address is reachable from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def start_failure(error: Exception) -> str:
    """Return a one-line reason why the sandbox cannot start."""
    match error:
        case OSError() | OverflowError():
            return f"cannot listen: {error}"
        case sqlite3.Error():
            return f"cannot use the journal: {error}"
        case _:
            return str(error)


async def _serve(server: Server, ready: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    hangup = () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)
    for number in (signal.SIGINT, signal.SIGTERM, *hangup):
        loop.add_signal_handler(number, server.stop)
    await server.serve(ready)


def arguments(argv: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(prog="python -m pareta_sandbox", description=__doc__, epilog=COMMANDS)
    for add_options in (_add_access, _add_durations, _add_behaviour, _add_upstream):
        add_options(parser.add_argument)
    return parser.parse_args(argv)


def _add_access(add: Callable[..., object]) -> None:
    add("--port", type=int, default=8765, help="port to listen on; 0 picks a free port (default: %(default)s)")
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    hosts = "further host name that requests may send as Host, besides this machine's own (repeatable)"
    add("--allow-host", dest="allow_hosts", action="append", default=[], metavar="NAME", help=hosts)
    balance = {"dest": "balance_micro_usd", "type": _micro_usd, "default": _micro_usd("100"), "metavar": "USD"}
    add("--balance-usd", help="opening balance (default: 100)", **balance)
    keys = "valid API keys (default: every key that starts with pareta_sk_)"
    add("--keys", type=_keys, default=(), metavar="K1,K2", help=keys)


def _add_durations(add: Callable[..., object]) -> None:
    latency = "duration of a completion (default: depends on the model)"
    add("--latency-ms", type=_time, default=None, metavar="MS", help=latency)
    add("--cold-start-s", type=_time, default=1.0, metavar="S", help="duration of a start (default: %(default)s)")
    add("--deploy-s", type=_time, default=2.0, metavar="S", help="duration of a deploy (default: %(default)s)")
    add("--eval-s", type=_time, default=0.5, metavar="S", help="minimum duration of an eval run (default: %(default)s)")


def _add_behaviour(add: Callable[..., object]) -> None:
    no_idempotency = "ignore idempotency keys: every request is billed"
    add("--no-idempotency", dest="idempotency", action="store_false", help=no_idempotency)
    generations = "1: without keys, receipts and 'auto' (default: 2)"
    add("--generation", type=int, choices=(1, 2), default=2, help=generations)
    journal = "SQLite file for the books; existing books are continued (default: a temporary file)"
    add("--journal", type=Path, metavar="FILE", help=journal)
    add("--scenario", metavar="NAME", help=f"scenario to begin with: a YAML file, or {', '.join(scenario.names())}")


def _add_upstream(add: Callable[..., object]) -> None:
    upstream = "forward completions to an OpenAI-compatible server (its key: UPSTREAM_API_KEY)"
    add("--upstream", metavar="URL", help=upstream)
    add("--upstream-model", metavar="NAME", help="model to request from the upstream (default: the first in its list)")
    add("--seed", type=int, default=0, help="seed of faults with a share (default: %(default)s)")


def settings(chosen: argparse.Namespace) -> Settings:
    """Convert the command line into settings."""
    options = {name: value for name, value in vars(chosen).items() if name != "scenario"}
    options["allow_hosts"] = tuple(chosen.allow_hosts)
    return Settings(**options, upstream_key=os.environ.get("UPSTREAM_API_KEY"))


def _keys(text: str) -> tuple[str, ...]:
    return tuple(key.strip() for key in text.split(",") if key.strip())


def _micro_usd(text: str) -> int:
    try:
        return int(Decimal(text) * MICRO_PER_USD)
    except (InvalidOperation, ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(f"'{text}' is not an amount in dollars; use a number such as 12.50") from error


def _time(text: str) -> float:
    try:
        time = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number; use a number such as 0.5") from error
    if not 0 <= time < 86_400_000:
        raise argparse.ArgumentTypeError(f"'{text}' is out of range; use a number from 0 to 86399999")
    return time


if __name__ == "__main__":
    sys.exit(main())
