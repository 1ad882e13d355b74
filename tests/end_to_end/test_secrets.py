"""The key to the service, kept in a block: runs find it there, and leave it nowhere."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pareta_sandbox.testing import KeyEcho
from tests.end_to_end.conftest import KEY, House
from tests.end_to_end.test_deployments import BATCH, batch, rows, state_of

GOOD = "pareta_sk_kept_in_a_block"
# The service refuses it, as every key that does not begin as its own do.
WRONG = "sk_wrong_and_kept_in_a_block"


@pytest.fixture
def keep(house: House) -> Iterator[Callable[[str], None]]:
    """Save the block with a key; then give what saves another in its place."""
    kind = house.prefect.ask("GET", "/block_types/slug/pareta-credentials")["id"]
    (schema, *_) = house.prefect.ask("POST", "/block_schemas/filter", block_schemas={"block_type_id": {"any_": [kind]}})
    names = {"name": "pareta", "block_type_id": kind, "block_schema_id": schema["id"]}
    block = house.prefect.ask("POST", "/block_documents/", data={"api_key": WRONG, "base_url": None}, **names)["id"]
    yield lambda key: house.prefect.ask("PATCH", f"/block_documents/{block}", data={"api_key": key})
    house.prefect.ask("DELETE", f"/block_documents/{block}")


@pytest.mark.long
def test_the_key_in_a_block_is_used_and_stands_in_nothing_that_runs_leave(
    house: House, keep: Callable[[str], None]
) -> None:
    before = house.pareta.books().completions
    run = house.prefect.run(BATCH, batch=batch(house, "kept-secret"))
    refused = house.prefect.ended(run["id"])
    assert state_of(refused) == ("FAILED", "AuthenticationFailed")
    assert "AuthenticationError" in refused["state"]["message"]
    house.processes.run("pareta-pipeline", "credentials", "second-account", folder=house.folder)
    keep(GOOD)
    house.prefect.set_state(run["id"], "SCHEDULED", "AwaitingRetry")
    house.prefect.in_state(run["id"], "Completed")
    house.pareta.completed(before + rows(house))
    for name, end in (("second-account", "Completed"), ("no-account", "NotConfigured")):
        run = house.prefect.run(BATCH, batch=batch(house, f"of-{name}", credentials=name))
        ended = house.prefect.ended(run["id"])
        assert ended["state"]["name"] == end, ended["state"]
    assert "pareta-pipeline credentials no-account" in ended["state"]["message"]
    house.pareta.completed(before + 2 * rows(house))
    # Prefect's database with its logs, artifacts, parameters, states and events, what the processes printed, the
    # ledger, the answers and the reports.
    assert "prefect.db" in {file.name for file in holding(house, "kept-secret")}
    for key in (KEY, GOOD, WRONG):
        assert holding(house, key) == []


@pytest.mark.long
def test_a_key_that_the_service_says_back_stands_in_nothing_that_runs_leave(
    house: House, keep: Callable[[str], None]
) -> None:
    keep(GOOD)
    house.pareta.inject(KeyEcho(where="answer", times=3))
    house.pareta.inject(KeyEcho(where="header", times=2, skip=1))
    house.pareta.inject(KeyEcho(where="error", status=400, times=2, skip=3))
    house.prefect.in_state(house.prefect.run(BATCH, batch=batch(house, "echoed-secret"))["id"], "TooManyFailures")
    house.pareta.inject(KeyEcho(where="error", status=401))
    house.prefect.in_state(house.prefect.run(BATCH, batch=batch(house, "echoed-again"))["id"], "AuthenticationFailed")
    house.pareta.clear_faults()
    written = holding(house, "Incorrect API key provided: ")
    assert {"prefect.db", "ledger.db"} <= {file.name.removesuffix("-wal") for file in written}
    for key in (KEY, GOOD):
        assert holding(house, key) == []


def holding(house: House, text: str) -> list[Path]:
    """Find the files that hold a text, of all that the server, the worker and the runs have written."""
    files = [file for file in house.processes.home.rglob("*") if file.is_file()]
    return [file for file in files if text.encode() in content(file)]


def content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:  # a temporary one, renamed meanwhile
        return b""
