"""A Prefect server that goes away: a paid batch goes on. It runs last, because the others share the server."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.end_to_end.conftest import House
from tests.end_to_end.processes import kill, until
from tests.end_to_end.test_deployments import BATCH, batch, rows, state_of
from tests.end_to_end.test_fleet import LIMIT


@pytest.mark.long
def test_a_paid_batch_goes_on_while_the_prefect_server_is_restarted(slow: House) -> None:
    before = slow.pareta.books().completions
    run = slow.prefect.run(BATCH, batch=batch(slow, "restarted", max_in_flight=1, shard_size=3))
    slow.settled(before, 2)
    for pid in server_processes(slow):
        kill(pid)
    until(lambda: not slow.prefect.healthy(), within_s=90, what="no server")
    while_away = slow.pareta.books().completions
    slow.settled(while_away, 2)
    restart_server(slow)
    slow.pareta.change(latency_ms=5)
    assert state_of(slow.prefect.ended(run["id"], within_s=180)) == ("COMPLETED", "Completed")
    slow.pareta.completed(before + rows(slow))
    slow.pareta.debited_once()
    until(lambda: slow.prefect.ask("GET", LIMIT)["active_slots"] == 0, within_s=120, what="free slots")


def server_processes(house: House) -> list[int]:
    """Find the Prefect server among the processes of the house."""
    found = [(pid, Path(f"/proc/{pid}/cmdline").read_bytes()) for pid in house.processes.alive()]
    return [pid for pid, command in found if b"prefect\0server\0" in command or b"prefect.server" in command]


def restart_server(house: House) -> None:
    port = urlsplit(house.prefect.url).port
    house.processes.start("server", "prefect", "server", "start", "--port", str(port), folder=house.folder)
    until(house.prefect.healthy, within_s=150, what="a Prefect server")
