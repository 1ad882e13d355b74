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
from pareta_sandbox.settings import Settings
from pareta_sandbox.state.books import rendered
from pareta_sandbox.state.money import MICRO_PER_USD

WARNING = """
***********************************************************************************************
*** The sandbox listens on {host}: everybody who can reach this machine can use it, read its
*** books, change its balance and switch its faults. Its control routes ask for no key.
***********************************************************************************************
"""

COMMANDS = f"To a sandbox that runs: {', '.join(remote.COMMANDS)} (see `books --help`)."


def main() -> int:
    """Serve until interrupted, then print the books; or carry out a command to a sandbox that runs."""
    if sys.argv[1:2] and sys.argv[1] in remote.COMMANDS:
        return remote.run(sys.argv[1:])
    chosen = arguments(sys.argv[1:])
    try:
        day = scenario.found(chosen.scenario) if chosen.scenario else None
        server = Server(settings(chosen))
    except (OSError, sqlite3.Error, scenario.ScenarioError) as problem:
        print(explained(problem), file=sys.stderr)  # noqa: T201
        return 2

    if not is_loopback(chosen.host):
        print(WARNING.format(host=chosen.host), file=sys.stderr)  # noqa: T201

    def ready() -> None:
        if day is not None:
            scenario.begin(server.service, day, chosen.scenario)
        print(f"pareta sandbox ready at {server.service.base_url}", flush=True)  # noqa: T201

    asyncio.run(_serve(server, ready))
    say_at_the_end(rendered(server.service.books.snapshot(debits=False)))
    return 0


def say_at_the_end(text: str) -> None:
    """Print, unless nobody reads any more: who only waited for the address may have closed the other end."""
    try:
        print(text, flush=True)  # noqa: T201
    except BrokenPipeError:
        # What could not be written is written again at exit, and fails again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def is_loopback(host: str) -> bool:
    """Tell whether an address can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def explained(problem: Exception) -> str:
    """Say in one line why the sandbox cannot start."""
    match problem:
        case OSError():
            return f"cannot listen: {problem}"
        case sqlite3.Error():
            return f"cannot use the journal: {problem}"
        case _:
            return str(problem)


async def _serve(server: Server, ready: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    hangup = () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)
    for number in (signal.SIGINT, signal.SIGTERM, *hangup):
        loop.add_signal_handler(number, server.stop)
    await server.serve(ready)


def arguments(given: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m pareta_sandbox", description=__doc__, epilog=COMMANDS)
    add = parser.add_argument
    add("--port", type=int, default=8765, help="0 picks a free one (default: %(default)s)")
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="host name by which requests may address it, beside this machine's (repeatable)",
    )
    add(
        "--balance-usd",
        type=_micro_usd,
        default=_micro_usd("100"),
        metavar="USD",
        help="opening balance (default: 100)",
    )
    add("--keys", default="", metavar="K1,K2", help="API keys that are good (default: all that start with pareta_sk_)")
    add(
        "--latency-ms",
        type=_time,
        default=None,
        metavar="MS",
        help="time a completion takes (default: the model's own)",
    )
    add("--cold-start-s", type=_time, default=1.0, metavar="S", help="time 'start' takes (default: %(default)s)")
    add("--deploy-s", type=_time, default=2.0, metavar="S", help="time a deploy takes (default: %(default)s)")
    add("--eval-s", type=_time, default=0.5, metavar="S", help="least time an eval run takes (default: %(default)s)")
    add("--no-idempotency", action="store_true", help="do not honour idempotency keys: every request is billed")
    add("--generation", type=int, choices=(1, 2), default=2, help="1: no keys, no receipts, no 'auto' (default: 2)")
    add(
        "--journal",
        type=Path,
        metavar="FILE",
        help="keep the books in an SQLite file, and go on with those in it (default: a temporary one)",
    )
    add("--scenario", metavar="NAME", help=f"begin with a scenario: a YAML file, or {', '.join(scenario.names())}")
    add(
        "--upstream",
        metavar="URL",
        help="let an OpenAI-compatible server answer (its key: UPSTREAM_API_KEY)",
    )
    add("--upstream-model", metavar="NAME", help="what to ask the upstream for (default: the first it lists)")
    add("--seed", type=int, default=0, help="which requests a fault with a share hits (default: %(default)s)")
    return parser.parse_args(given)


def settings(chosen: argparse.Namespace) -> Settings:
    """Turn the command line into settings."""
    return Settings(
        host=chosen.host,
        port=chosen.port,
        allow_hosts=tuple(chosen.allow_host),
        balance_micro_usd=chosen.balance_usd,
        keys=tuple(key.strip() for key in chosen.keys.split(",") if key.strip()),
        latency_ms=chosen.latency_ms,
        cold_start_s=chosen.cold_start_s,
        deploy_s=chosen.deploy_s,
        eval_s=chosen.eval_s,
        idempotency=not chosen.no_idempotency,
        generation=chosen.generation,
        seed=chosen.seed,
        journal=chosen.journal,
        upstream=chosen.upstream,
        upstream_model=chosen.upstream_model,
        upstream_key=os.environ.get("UPSTREAM_API_KEY"),
    )


def _micro_usd(text: str) -> int:
    try:
        return int(Decimal(text) * MICRO_PER_USD)
    except (InvalidOperation, ValueError, OverflowError) as wrong:
        raise argparse.ArgumentTypeError(f"'{text}' is not an amount in dollars") from wrong


def _time(text: str) -> float:
    try:
        time = float(text)
    except ValueError as wrong:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number") from wrong
    if not 0 <= time < 86_400_000:
        raise argparse.ArgumentTypeError(f"'{text}' is not a time from 0")
    return time


if __name__ == "__main__":
    sys.exit(main())
