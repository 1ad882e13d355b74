"""Run a sandbox: `python -m pareta_sandbox --port 8765`."""

import argparse
import asyncio
import signal
import sys
from decimal import Decimal, InvalidOperation

from pareta_sandbox.books import rendered
from pareta_sandbox.money import MICRO_PER_USD
from pareta_sandbox.server import Server
from pareta_sandbox.settings import Settings


def main() -> int:
    """Serve until interrupted, then print the books."""
    try:
        server = Server(settings(sys.argv[1:]))
    except OSError as taken:
        print(f"cannot listen: {taken}", file=sys.stderr)  # noqa: T201
        return 2
    asyncio.run(_serve(server))
    print(rendered(server.service.books.snapshot()), flush=True)  # noqa: T201
    return 0


async def _serve(server: Server) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, server.stop)
    line = f"pareta sandbox ready at {server.service.base_url}"
    await server.serve(lambda: print(line, flush=True))  # noqa: T201


def settings(arguments: list[str]) -> Settings:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m pareta_sandbox", description=__doc__)
    add = parser.add_argument
    add("--port", type=int, default=8765, help="0 picks a free one (default: %(default)s)")
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
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
    add("--seed", type=int, default=0, help="which requests a fault with a share hits (default: %(default)s)")
    chosen = parser.parse_args(arguments)
    return Settings(
        host=chosen.host,
        port=chosen.port,
        balance_micro_usd=chosen.balance_usd,
        keys=tuple(key.strip() for key in chosen.keys.split(",") if key.strip()),
        latency_ms=chosen.latency_ms,
        cold_start_s=chosen.cold_start_s,
        deploy_s=chosen.deploy_s,
        eval_s=chosen.eval_s,
        idempotency=not chosen.no_idempotency,
        generation=chosen.generation,
        seed=chosen.seed,
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
