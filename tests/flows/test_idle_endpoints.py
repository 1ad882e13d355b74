"""The cost guard: what is idle, and that nothing else is touched."""

from datetime import UTC, datetime, timedelta

from flows.stop_idle_endpoints import IdleGuard, stop_idle_endpoints
from pareta_client import Pareta
from pareta_sandbox.testing import Sandbox
from tasks.idle_policy import ActivityReading, IdlePolicy, next_reading, readings_in

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


PATIENCE = IdlePolicy(idle=timedelta(minutes=20), live=timedelta(hours=3))


def look(*counts: int | None, every: timedelta) -> tuple[ActivityReading, str | None]:
    """Look again and again at an endpoint with such counts; give the last reading and why to stop it."""
    reading = None
    for number, requests in enumerate(counts):
        reading = next_reading(reading, "ep_1", "ours", requests, NOON + number * every)
    assert reading is not None
    return reading, reading.stop_reason(PATIENCE, NOON + (len(counts) - 1) * every)


QUARTER = timedelta(minutes=15)


def test_a_count_that_has_not_grown_for_long_enough_means_idle() -> None:
    assert look(7, 7, every=QUARTER)[1] is None
    assert look(7, 7, 7, every=QUARTER)[1] == "no request since 2026-11-23 12:00+00:00"


def test_a_count_that_has_grown_means_used_until_now() -> None:
    assert look(7, 7, 8, every=QUARTER)[1] is None


def test_the_first_look_never_stops_anything() -> None:
    patience = IdlePolicy(idle=timedelta(0), live=timedelta(seconds=1))
    assert next_reading(None, "ep_1", "ours", 7, NOON).stop_reason(patience, NOON) is None


def test_one_that_is_live_for_too_long_is_stopped_used_or_not_and_told_or_not() -> None:
    reason = "live since 2026-11-23 12:00+00:00 or earlier"
    assert look(1, 2, 3, 4, every=timedelta(hours=1))[1] == reason
    assert look(None, None, None, None, every=timedelta(hours=1))[1] == reason


def test_one_whose_use_the_service_does_not_tell_is_never_idle() -> None:
    assert look(None, None, None, every=timedelta(minutes=40))[1] is None


def test_readings_are_read_back_from_the_table() -> None:
    reading, _ = look(7, 7, every=QUARTER)
    assert readings_in([reading.row(NOON)]) == {"ep_1": reading}


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
