"""The cost guard: what is idle, and that nothing else is touched."""

from datetime import UTC, datetime, timedelta

from flows.stop_idle_endpoints import IdleGuard, stop_idle_endpoints
from pareta_client import Pareta
from pareta_sandbox.testing import Sandbox
from tasks.idleness import Reading, read_again, readings_in

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=20)


def test_a_count_that_has_not_grown_means_idle_since_the_first_look() -> None:
    first = read_again(None, "ep_1", "ours", 7, NOON)
    assert read_again(first, "ep_1", "ours", 7, LATER).idle_for(LATER) == timedelta(minutes=20)


def test_a_count_that_has_grown_means_used_until_now() -> None:
    first = read_again(None, "ep_1", "ours", 7, NOON)
    assert read_again(first, "ep_1", "ours", 8, LATER).idle_for(LATER) == timedelta(0)


def test_readings_are_read_back_from_the_table() -> None:
    reading = Reading("ep_1", "ours", 7, NOON)
    assert readings_in([reading.row(LATER)]) == {"ep_1": reading}


def deployed(name: str) -> str:
    with Pareta.from_env() as client:
        endpoint = client.endpoints.deploy(task="sentiment-classification", name=name, wait=True)
        return str(endpoint.id)


def status(endpoint_id: str) -> str | None:
    with Pareta.from_env() as client:
        return client.endpoints.retrieve(endpoint_id).status


def guard(prefix: str, *, dry_run: bool = False) -> IdleGuard:
    return IdleGuard(name_prefix=prefix, idle_minutes=0, dry_run=dry_run)


async def test_an_idle_endpoint_of_ours_is_stopped_at_the_second_look_and_no_other(pareta: Sandbox) -> None:
    ours, other = deployed("guarded-1"), deployed("unguarded-1")
    assert await stop_idle_endpoints(guard("guarded")) == ()
    assert await stop_idle_endpoints(guard("guarded")) == (ours,)
    assert (status(ours), status(other)) == ("stopped", "live")


async def test_a_dry_run_stops_nothing(pareta: Sandbox) -> None:
    ours = deployed("dry-1")
    await stop_idle_endpoints(guard("dry", dry_run=True))
    assert await stop_idle_endpoints(guard("dry", dry_run=True)) == (ours,)
    assert status(ours) == "live"


async def test_an_endpoint_that_was_used_meanwhile_is_left_alone(pareta: Sandbox) -> None:
    ours = deployed("busy-1")
    await stop_idle_endpoints(guard("busy"))
    with Pareta.from_env() as client:
        client.chat.completions.create(model=ours, messages=[{"role": "user", "content": "hello"}])
    assert await stop_idle_endpoints(guard("busy")) == ()
    assert status(ours) == "live"
