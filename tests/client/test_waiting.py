"""Waits for runs and endpoints: backoff, jitter, a deadline each, temporary errors, and few requests at once."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from itertools import islice, pairwise
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as some

from pareta_client import (
    APIConnectionError,
    AsyncPareta,
    EndpointWaitTimeoutError,
    EvalWaitTimeoutError,
    NotFoundError,
    Pareta,
    ParetaError,
    WaitTimeoutError,
)
from pareta_client.core import Operation, PollTiming, Send
from pareta_client.operations.endpoints import wait_until_live
from pareta_client.operations.eval_runs import wait_for_run, wait_timing
from pareta_client.settings import Settings
from pareta_client.transport.channel import MAX_CONCURRENT_POLLS
from tests.client.playing import KEY, Played, failed, play, reply, settings

WaitFor = Callable[[float, float, Settings], Operation[Any]]
WAITS: dict[str, tuple[WaitFor, type[WaitTimeoutError]]] = {
    "run": (
        lambda longest, timeout, options: wait_for_run("r", wait_timing(longest, timeout), options),
        EvalWaitTimeoutError,
    ),
    "endpoint": (
        lambda longest, timeout, options: wait_until_live("e", longest, timeout, options),
        EndpointWaitTimeoutError,
    ),
}
STARTING = reply(body=json.dumps({"status": "starting", "run": {"status": "running"}}).encode())
ENDED = reply(body=json.dumps({"status": "live", "run": {"status": "completed"}}).encode())
either = pytest.mark.parametrize("kind", WAITS)


def waited(kind: str, replies: list[Any], longest: float = 15.0, timeout: float = 900.0, **options: Any) -> Played[Any]:
    wait, _ = WAITS[kind]
    return play(wait(longest, timeout, settings(**options)), replies)


@either
def test_what_has_ended_is_found_at_the_first_look(kind: str) -> None:
    played = waited(kind, [ENDED])
    assert played.result is not None
    assert (len(played.sends), played.sleeps) == (1, [])


@either
def test_pauses_grow_up_to_the_poll_interval(kind: str) -> None:
    pauses = [step.seconds for step in waited(kind, [STARTING] * 30 + [ENDED], longest=15.0).sleeps]
    assert pauses[0] == pytest.approx(0.5 if kind == "run" else 0.25)
    assert all(second >= first for first, second in pairwise(pauses))
    assert pauses[-1] == 15.0


@either
@given(luck=some.floats(0, 1), longest=some.floats(0, 100), count=some.integers(1, 20))
def test_jitter_shortens_each_pause_by_a_fifth_at_most(kind: str, luck: float, longest: float, count: int) -> None:
    plain = waited(kind, [STARTING] * count + [ENDED], longest=longest, timeout=1e9).sleeps
    spread = waited(kind, [STARTING] * count + [ENDED], longest=longest, timeout=1e9, jitter=luck).sleeps
    assert [step.seconds for step in spread] == pytest.approx([step.seconds * (1 - 0.2 * luck) for step in plain])
    assert all(step.seconds <= longest for step in plain)


@either
@given(timeout=some.floats(0, 300), longest=some.floats(3, 100), luck=some.floats(0, 1))
def test_the_last_look_is_at_the_deadline(kind: str, timeout: float, longest: float, luck: float) -> None:
    played = waited(kind, [STARTING] * 500, longest=longest, timeout=timeout, jitter=luck)
    assert isinstance(played.error, WAITS[kind][1])
    assert played.now == pytest.approx(timeout)
    assert played.error.waited == pytest.approx(timeout)
    assert isinstance(played.steps[-2], Send)


@either
def test_a_wait_that_runs_out_has_the_status_and_the_last_error(kind: str) -> None:
    played = waited(kind, [STARTING, *[failed()] * 1000], timeout=30.0, max_retries=0)
    assert isinstance(played.error, WaitTimeoutError)
    assert played.error.status == ("running" if kind == "run" else "starting")
    assert isinstance(played.error.__cause__, APIConnectionError)


@either
@pytest.mark.parametrize("error", [reply(429), reply(503), reply(500), reply(409), reply(408), failed()])
def test_temporary_errors_do_not_end_a_wait(kind: str, error: Any) -> None:
    assert waited(kind, [error] * 5 + [ENDED], max_retries=0).result is not None


@either
@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 422, 302])
def test_other_errors_end_a_wait_at_once(kind: str, status: int) -> None:
    played = waited(kind, [reply(status)])
    assert isinstance(played.error, ParetaError)
    assert not isinstance(played.error, WaitTimeoutError)
    assert len(played.sends) == 1


@either
def test_a_refused_look_waits_as_long_as_the_service_asked(kind: str) -> None:
    played = waited(kind, [reply(429, retry_after="20"), ENDED], max_retries=0)
    assert [step.seconds for step in played.sleeps] == [20.0]


@either
def test_a_refused_look_does_not_wait_beyond_the_deadline(kind: str) -> None:
    played = waited(kind, [reply(429, retry_after="3600")] * 3, timeout=60.0, max_retries=0)
    assert isinstance(played.error, WaitTimeoutError)
    assert played.now == 60.0


@either
def test_slow_looks_count_towards_the_deadline(kind: str) -> None:
    wait, error = WAITS[kind]
    played = play(wait(3.0, 60.0, settings()), [STARTING] * 100, seconds_each=25.0)
    assert isinstance(played.error, error)
    assert played.now <= 60.0 + 25.0


@either
@pytest.mark.parametrize(("longest", "timeout"), [(-1.0, 9.0), (float("nan"), 9.0), (1.0, -1.0), (1.0, float("nan"))])
def test_invalid_seconds_are_refused_before_anything_is_sent(kind: str, longest: float, timeout: float) -> None:
    with pytest.raises(ValueError, match=r"(poll_interval|timeout) must be seconds, 0 or more, not (-1.0|nan)"):
        waited(kind, [], longest=longest, timeout=timeout)


def test_a_run_with_an_invalid_wait_is_not_created() -> None:
    requests: list[httpx.Request] = []

    def note(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(500)

    with (
        httpx.Client(transport=httpx.MockTransport(note)) as http,
        Pareta(api_key=KEY, base_url="http://localhost", http_client=http) as client,
        pytest.raises(ValueError, match="poll_interval must be"),
    ):
        client.evals.runs.create(eval_set="es_1", models=["m"], wait=True, poll_interval=-3)
    assert requests == []


def test_a_tiny_interval_never_grows_without_bound() -> None:
    pauses = PollTiming(1.0, longest=0.02, first=0.5, growth=1.5).pauses(lambda: 0.0)
    assert list(islice(pauses, 5000)) == [0.02] * 5000


class Service:
    """Runs that end after `looks` reads each; counts the concurrent reads."""

    def __init__(self, looks: int) -> None:
        self.looks = looks
        self.read: Counter[str] = Counter()
        self.at_once = self.most_at_once = 0
        self.read_once = asyncio.Event()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        run_id = request.url.path.rsplit("/", 1)[-1]
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        for _ in range(3):
            await asyncio.sleep(0)
        self.at_once -= 1
        self.read[run_id] += 1
        self.read_once.set()
        if run_id == "missing":
            return httpx.Response(404, json={"detail": "no such run"})
        status = "completed" if self.read[run_id] >= self.looks and run_id != "late" else "running"
        return httpx.Response(200, json={"run": {"id": run_id, "status": status}, "results": []})

    def client(self) -> AsyncPareta:
        http = httpx.AsyncClient(transport=httpx.MockTransport(self))
        return AsyncPareta(api_key=KEY, base_url="http://localhost", http_client=http)


async def test_many_waits_read_a_few_at_once_and_each_run_once() -> None:
    service = Service(looks=1)
    client = service.client()
    runs = await asyncio.gather(*(client.evals.runs.wait(f"run_{number}") for number in range(50)))
    assert [run.id for run in runs] == [f"run_{number}" for number in range(50)]
    assert service.most_at_once == MAX_CONCURRENT_POLLS
    assert set(service.read.values()) == {1}


async def test_clients_that_share_connections_share_the_limit_of_waits() -> None:
    service = Service(looks=1)
    client = service.client()
    others = [client, client.with_options(max_retries=0), client.with_options(unlimited_connections=True)]
    await asyncio.gather(*(each.evals.runs.wait(f"run_{n}") for n, each in enumerate(others * 10)))
    assert service.most_at_once == MAX_CONCURRENT_POLLS


async def test_other_calls_do_not_queue_behind_waits() -> None:
    service = Service(looks=1)
    client = service.client()
    await asyncio.gather(*(client.evals.runs.retrieve(f"run_{number}") for number in range(50)))
    assert service.most_at_once == 50


async def test_each_wait_has_a_deadline_of_its_own_and_the_others_continue() -> None:
    client = Service(looks=3).client()
    late, quick = await asyncio.gather(
        client.evals.runs.wait("late", poll_interval=0.01, timeout=0.05),
        client.evals.runs.wait("quick", poll_interval=0.05),
        return_exceptions=True,
    )
    assert isinstance(late, EvalWaitTimeoutError)
    assert (late.run_id, late.status) == ("late", "running")
    assert not isinstance(quick, BaseException)


async def test_a_wait_that_fails_leaves_the_others_alone() -> None:
    client = Service(looks=2).client()
    missing, found = await asyncio.gather(
        client.evals.runs.wait("missing"), client.evals.runs.wait("found", poll_interval=0.01), return_exceptions=True
    )
    assert isinstance(missing, NotFoundError)
    assert not isinstance(found, BaseException)


async def test_a_cancelled_wait_sends_no_more_requests_and_frees_its_slot() -> None:
    service = Service(looks=2)
    client = service.client()
    waits = [asyncio.create_task(client.evals.runs.wait(f"given up {n}")) for n in range(20)]
    await service.read_once.wait()
    for wait in waits:
        wait.cancel()
    await asyncio.gather(*waits, return_exceptions=True)
    read = service.read.total()
    await client.evals.runs.wait("wanted", poll_interval=0.01)
    assert service.read.total() == read + 2
