"""A sandbox for tests.

    with running(balance_usd=1) as sandbox:
        client = Pareta(api_key=sandbox.api_key, base_url=sandbox.base_url)
        sandbox.inject(Status(status=503, times=2))
        ...
        sandbox.debited_once()

`attach(base_url)` returns the same object for a sandbox in another process.
"""

import http.client
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Literal, TypedDict, Unpack
from urllib.parse import urlsplit

from pareta_sandbox.faults.kinds import (
    CutStream,
    DeployFails,
    DeployStreamCut,
    Drop,
    EndpointStops,
    EvalRunFails,
    EvalRunHangs,
    Fault,
    Hang,
    Html,
    KeyEcho,
    Latency,
    ModelWeakens,
    OddReply,
    PriceChange,
    RateLimit,
    ReplyHeaders,
    SlowBody,
    Status,
    TruncatedJson,
)
from pareta_sandbox.faults.scenario import load
from pareta_sandbox.http.server import ServerThread
from pareta_sandbox.settings import DEFAULT_KEY, Settings
from pareta_sandbox.state.books import Debit, Snapshot
from pareta_sandbox.state.money import MICRO_PER_USD

__all__ = [
    "CutStream",
    "Debit",
    "DeployFails",
    "DeployStreamCut",
    "Drop",
    "EndpointStops",
    "EvalRunFails",
    "EvalRunHangs",
    "Fault",
    "Hang",
    "Html",
    "KeyEcho",
    "Latency",
    "ModelWeakens",
    "OddReply",
    "Options",
    "PriceChange",
    "RateLimit",
    "ReplyHeaders",
    "Sandbox",
    "SlowBody",
    "Snapshot",
    "Status",
    "TruncatedJson",
    "attach",
    "running",
]


class Options(TypedDict, total=False):
    """Options of a sandbox; see `Settings`. The defaults are fast: no latency, no cold start."""

    host: str
    port: int
    allow_hosts: tuple[str, ...]
    balance_usd: float | str | Decimal
    keys: tuple[str, ...]
    latency_ms: float | None
    cold_start_s: float
    deploy_s: float
    eval_s: float
    idempotency: bool
    generation: Literal[1, 2]
    seed: int
    journal: Path
    upstream: str
    upstream_model: str
    upstream_key: str


class Changes(TypedDict, total=False):
    """Settings that can change while a sandbox runs."""

    latency_ms: float | None
    cold_start_s: float
    deploy_s: float
    eval_s: float
    idempotency: bool


class Sandbox:
    """A running sandbox: its address, its books and its faults."""

    def __init__(self, base_url: str, api_key: str = DEFAULT_KEY) -> None:
        self.base_url = base_url.rstrip("/")
        self.api_key = api_key

    def books(self) -> Snapshot:
        """Return a snapshot of the books."""
        return Snapshot.model_validate_json(self._ask("GET", "/books"))

    def top_up(self, usd: float | str | Decimal) -> None:
        """Add dollars to the balance."""
        self._ask("POST", "/top-up", {"micro_usd": micro_usd(usd)})

    def set_balance(self, usd: float | str | Decimal) -> None:
        """Set the balance, in dollars."""
        self._ask("PUT", "/balance", {"micro_usd": micro_usd(usd)})

    def change(self, **settings: Unpack[Changes]) -> None:
        """Change settings of the running sandbox."""
        self._ask("PATCH", "/settings", dict(settings))

    def inject(self, fault: Fault) -> str:
        """Switch a fault on and return its id."""
        added = json.loads(self._ask("POST", "/faults", fault.model_dump(mode="json")))
        return str(added["id"])

    def remove(self, fault_id: str) -> None:
        """Switch one fault off."""
        self._ask("DELETE", f"/faults/{fault_id}")

    def clear_faults(self) -> None:
        """Switch every fault off."""
        self._ask("DELETE", "/faults")

    def play(self, name_or_file: str) -> None:
        """Begin a scenario, given its name in the library or its YAML file."""
        chosen = load(name_or_file).model_dump(mode="json", exclude_unset=True)
        self._ask("POST", "/scenarios", {"name": name_or_file, "scenario": chosen})

    def hits(self, fault_id: str) -> int:
        """Return the number of requests that an active fault has affected (for a rate limit: refused).

        Raises LookupError when the fault is not active.
        """
        faults = json.loads(self._ask("GET", "/faults"))["faults"]
        found = next((fault for fault in faults if fault["id"] == fault_id), None)
        if found is None:
            raise LookupError(f"fault '{fault_id}' is not active")
        return int(found["refused"] if found["fault"]["kind"] == "rate_limit" else found["struck"])

    def stop_endpoint(self, endpoint_id: str) -> None:
        """Stop an endpoint, including a seed, as its provider can."""
        self._ask("POST", f"/endpoints/{endpoint_id}/stop")

    def start_endpoint(self, endpoint_id: str) -> None:
        """Start an endpoint, including a seed."""
        self._ask("POST", f"/endpoints/{endpoint_id}/start")

    def debited_once(self) -> None:
        """Assert that every debit has a key, that no key was debited twice, and that the books balance."""
        books = self.books()
        keyless = [debit for debit in books.debits if debit.key is None]
        assert not keyless, f"{len(keyless)} debits have no idempotency key"
        twice = {key: n for key, n in Counter(debit.key for debit in books.debits).items() if n > 1}
        assert not twice, f"debited more than once: {twice}"
        assert books.balances, f"the books do not balance: {books}"

    def never_more_in_flight_than(self, most: int) -> None:
        """Assert that never more than `most` completions were in flight at once."""
        highest = self.books().highest_in_flight
        assert highest <= most, f"{highest} completions were in flight at once, more than {most}"

    def completed(self, count: int) -> None:
        """Assert that exactly `count` completions were billed."""
        completions = self.books().completions
        assert completions == count, f"{completions} completions were billed, not {count}"

    def silent_since(self, before: Snapshot) -> None:
        """Assert that no request arrived after a snapshot."""
        now = self.books().requests
        new = {route: n - before.requests.get(route, 0) for route, n in now.items()}
        arrived = {route: n for route, n in new.items() if n}
        assert not arrived, f"requests arrived: {arrived}"

    def _ask(self, method: str, path: str, body: object = None) -> bytes:
        address = urlsplit(self.base_url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, f"/_sandbox{path}", content, {"content-type": "application/json"})
            reply = connection.getresponse()
            answer = reply.read()
        finally:
            connection.close()
        if reply.status >= 400:
            raise ValueError(f"{method} /_sandbox{path} was refused with {reply.status}: {answer.decode()}")
        return answer


@contextmanager
def running(**options: Unpack[Options]) -> Iterator[Sandbox]:
    """Run a sandbox on a free port in a thread of this process."""
    chosen = dict(options)
    balance = micro_usd(options.get("balance_usd", 100))
    chosen.pop("balance_usd", None)
    server = ServerThread(Settings(balance_micro_usd=balance, **chosen))  # type: ignore[arg-type]  # see Options
    server.start()
    try:
        keys = options.get("keys") or (DEFAULT_KEY,)
        yield Sandbox(server.base_url, keys[0])
    finally:
        server.stop()


def attach(base_url: str, api_key: str = DEFAULT_KEY) -> Sandbox:
    """Return the interface of a sandbox that runs in another process."""
    return Sandbox(base_url, api_key)


def micro_usd(usd: float | str | Decimal) -> int:
    """Convert dollars into micro-USD; exact for strings and decimals."""
    return int((Decimal(str(usd)) * MICRO_PER_USD).to_integral_value())
