"""Many runs, one poller: backoff, jitter, a deadline each, and last_error that passes is waited out."""

import asyncio
from collections import Counter
from itertools import pairwise

import pytest

from pareta_client import APIConnectionError, EvalRun, EvalWaitTimeoutError, NotFoundError
from pareta_evals.poller import FIRST_INTERVAL_S, JITTER, MAX_CONCURRENT_POLLS, MAX_INTERVAL_S, EvalPoller, Watched


def state(run_id: str, status: str) -> EvalRun:
    return EvalRun.model_validate({"run": {"id": run_id, "status": status}, "results": []})


class Service:
    """Runs that are over after so many looks; says how many were read at once."""

    def __init__(self, looks: int) -> None:
        self.looks = looks
        self.read: Counter[str] = Counter()
        self.at_once = self.most_at_once = 0
        self.last_error: list[Exception] = []
        self.read_once = asyncio.Event()

    async def retrieve(self, run_id: str) -> EvalRun:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        if self.last_error:
            raise self.last_error.pop()
        self.read[run_id] += 1
        self.read_once.set()
        return state(run_id, "completed" if self.read[run_id] >= self.looks else "running")


async def test_a_run_that_is_over_is_found_at_the_first_look() -> None:
    service = Service(looks=1)
    async with EvalPoller(service.retrieve) as poller:
        assert (await poller.wait("run_1", 60)).status == "completed"
    assert service.read == {"run_1": 1}


async def test_many_runs_share_one_poller_that_reads_a_few_at_once() -> None:
    service = Service(looks=1)
    async with EvalPoller(service.retrieve) as poller:
        runs = await asyncio.gather(*(poller.wait(f"run_{number}", 60) for number in range(50)))
    assert [run.id for run in runs] == [f"run_{number}" for number in range(50)]
    assert service.most_at_once == MAX_CONCURRENT_POLLS


async def test_each_run_has_a_deadline_of_its_own_and_the_others_go_on() -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 20.0
        return now[0]

    async def retrieve(run_id: str) -> EvalRun:
        return state(run_id, "completed" if run_id == "quick" and now[0] > 600 else "running")

    async with EvalPoller(retrieve, clock=clock) as poller:
        late, quick = await asyncio.gather(
            poller.wait("late", 100), poller.wait("quick", 100_000), return_exceptions=True
        )
    assert isinstance(late, EvalWaitTimeoutError)
    assert (late.run_id, late.status) == ("late", "running")
    assert isinstance(quick, EvalRun)


async def test_trouble_that_may_pass_is_waited_out() -> None:
    service = Service(looks=1)
    service.last_error = [APIConnectionError("cut")]
    async with EvalPoller(service.retrieve) as poller:
        assert (await poller.wait("run_1", 60)).status == "completed"


async def test_a_run_that_is_not_there_is_not_waited_for() -> None:
    service = Service(looks=1)
    service.last_error = [NotFoundError("no such run", status_code=404)]
    async with EvalPoller(service.retrieve) as poller:
        with pytest.raises(NotFoundError):
            await poller.wait("run_1", 60)


async def test_a_run_that_nobody_waits_for_any_more_is_not_read_any_more() -> None:
    service = Service(looks=2)
    async with EvalPoller(service.retrieve, luck=lambda: 0.0) as poller:
        waiting = asyncio.create_task(poller.wait("given up", 60))
        await service.read_once.wait()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await poller.wait("wanted", 60)
    assert service.read == {"given up": 1, "wanted": 2}


def looks(luck: float, count: int = 30, deadline: float = 10_000.0) -> list[float]:
    async def planned() -> list[float]:
        watched = Watched("run_1", since=0.0, deadline=deadline, next_poll=0.0)
        times = [0.0]
        for _ in range(count):
            watched.schedule(times[-1], luck)
            times.append(watched.next_poll)
        return times

    return asyncio.run(planned())


def test_looks_come_ever_later_up_to_a_bound() -> None:
    waits = [later - earlier for earlier, later in pairwise(looks(luck=0.5))]
    assert waits[0] == pytest.approx(FIRST_INTERVAL_S)
    assert all(second >= first - 1e-9 for first, second in pairwise(waits))
    assert waits[-1] == pytest.approx(MAX_INTERVAL_S)


def test_jitter_spreads_the_looks_of_runs_that_began_together() -> None:
    early, late = looks(luck=0.0, count=1)[1], looks(luck=1.0, count=1)[1]
    assert (early, late) == pytest.approx((FIRST_INTERVAL_S * (1 - JITTER), FIRST_INTERVAL_S * (1 + JITTER)))


def test_the_last_look_is_at_the_deadline() -> None:
    assert looks(luck=0.5, count=12, deadline=20.0)[-1] == 20.0
