"""`doctor` on a configured Prefect server: its version and its endpoint limits."""

import asyncio

import pytest
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient

from pareta_cli import prefect_checks
from pareta_cli.prefect_checks import check_prefect
from tasks.endpoint_slots import limit_name


async def make_limit(model: str, slots: int) -> None:
    async with get_client() as client:
        await client.upsert_global_concurrency_limit_by_name(limit_name(model), slots)


def test_a_server_that_answers_is_named_with_its_version_and_limits(prefect_server: None) -> None:
    asyncio.run(make_limit("ep_examined", 7))
    found = check_prefect()
    assert found.ok, found
    assert ": version 3." in found.text
    assert "ep_examined 0 of 7 slots" in found.text


def test_a_server_older_than_the_client_is_a_fault_with_the_command(
    prefect_server: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SyncPrefectClient, "client_version", lambda self: "99.1.0")
    found = check_prefect()
    assert (found.ok, found.fix) == (False, "pip install prefect==99.1.0  # on the server, then restart it")


@pytest.mark.parametrize(("version", "minor"), [("3.9.1", (3, 9)), ("3.10.0rc1", (3, 10)), ("4.0.dev1", (4, 0))])
def test_versions_are_compared_as_numbers(version: str, minor: tuple[int, int]) -> None:
    assert prefect_checks._minor(version) == minor
