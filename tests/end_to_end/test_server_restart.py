"""A Prefect server that goes away: a paid batch goes on. It runs last, because the others share the server."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.end_to_end.conftest import House
from tests.end_to_end.processes import kill, until
from tests.end_to_end.test_deployments import BATCH, batch, rows, state_of

LIMIT = "/v2/concurrency_limits/pareta:auto"
LONG_AGO = "2020-01-01T00:00:00+00:00"


@pytest.mark.long
def test_a_paid_batch_goes_on_while_the_prefect_server_is_away_for_longer_than_its_leases(slow: House) -> None:
    before = slow.pareta.books().completions
    # It lasts longer than it takes until the lease of its slots is renewed, which is 45 seconds.
    slow.pareta.change(latency_ms=3000)
    run = slow.prefect.run(BATCH, batch=batch(slow, "restarted", max_in_flight=1, shard_size=3))
    slow.settled(before, 2)
    of_run = until(lambda: slow.prefect.process_of(run["id"]), within_s=300, what="the flow's process")
    for pid in server_processes(slow):
        kill(pid)
    until(lambda: not slow.prefect.healthy(), within_s=300, what="no server")
    while_away = slow.pareta.books().completions
    slow.settled(while_away, 2)
    # Otherwise it may renew its slots before the server that is back has seen that they ran out.
    with standing_still(of_run):
        expire_leases(slow)
        restart_server(slow)
        until(lambda: free_slots(slow), within_s=300, what="free slots")
    until(lambda: gone_on(slow), within_s=300, what="a renewal that failed")
    slow.pareta.change(latency_ms=5)
    assert state_of(slow.prefect.ended(run["id"], within_s=300)) == ("COMPLETED", "Completed")
    slow.pareta.completed(before + rows(slow))
    slow.pareta.debited_once()
    until(lambda: free_slots(slow), within_s=300, what="free slots")


@contextmanager
def standing_still(pid: int) -> Iterator[None]:
    """Stop a process with SIGSTOP while the body runs."""
    kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        kill(pid, signal.SIGCONT)


def free_slots(house: House) -> bool:
    return bool(house.prefect.ask("GET", LIMIT)["active_slots"] == 0)


def gone_on(house: House) -> bool:
    return "Execution will continue" in house.processes.log("worker").read_text()


def expire_leases(house: House) -> None:
    """Expire the leases of all slots, as after minutes without a server."""
    folder = house.processes.home / "prefect" / "concurrency_leases"
    index = folder / "expirations.json"
    held = json.loads(index.read_text())
    assert held
    index.write_text(json.dumps(dict.fromkeys(held, LONG_AGO)))
    for lease in held:
        file = folder / f"{lease}.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "expiration": LONG_AGO}))


def server_processes(house: House) -> list[int]:
    """Find the Prefect server among the processes of the house."""
    found = [(pid, Path(f"/proc/{pid}/cmdline").read_bytes()) for pid in house.processes.alive()]
    return [pid for pid, command in found if b"prefect\0server\0" in command or b"prefect.server" in command]


def restart_server(house: House) -> None:
    port = urlsplit(house.prefect.url).port
    house.processes.start("server", "prefect", "server", "start", "--port", str(port), folder=house.folder)
    until(house.prefect.healthy, within_s=300, what="a Prefect server")
