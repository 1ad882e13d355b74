"""The admission gate: which calls may start, and when."""

import asyncio

import pytest

from pareta_batch.errors import UnexpectedError
from pareta_batch.rate_limit.gate import AdmissionGate
from pareta_batch.rate_limit.limiter import RateLimiter


async def test_calls_start_first_come_first_served_within_the_bound() -> None:
    gate = AdmissionGate(RateLimiter(2))
    order: list[int] = []

    async def call(number: int) -> None:
        entered = await gate.enter()
        assert entered is not None
        assert gate.in_flight <= 2
        order.append(number)
        await asyncio.sleep(0)
        gate.answered(entered)
        gate.settled()

    await asyncio.gather(*(call(number) for number in range(10)))
    assert order == list(range(10))
    assert gate.in_flight == 0


async def test_nobody_starts_while_it_is_paused() -> None:
    gate = AdmissionGate(RateLimiter(2))
    with gate.paused():
        waiting = asyncio.create_task(gate.enter())
        await asyncio.sleep(0)
        assert not waiting.done()
    assert await waiting is not None


@pytest.mark.parametrize("method", ["wait", "started"])
async def test_a_fault_in_a_timer_reaches_those_who_wait(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    gate = AdmissionGate(RateLimiter(1))
    monkeypatch.setattr(gate.limiter, "wait", lambda now: 0.001)
    waiting = asyncio.create_task(gate.enter())
    await asyncio.sleep(0)
    if method == "started":
        monkeypatch.setattr(gate.limiter, "wait", lambda now: 0.0)
    monkeypatch.setattr(gate.limiter, method, lambda now: 1 / 0)
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    with pytest.raises(UnexpectedError, match="the rate limit: ZeroDivisionError: division by zero"):
        async with asyncio.timeout(30):
            await waiting


async def test_closing_it_sends_everybody_away() -> None:
    gate = AdmissionGate(RateLimiter(1))
    first = await gate.enter()
    waiting = asyncio.create_task(gate.enter())
    await asyncio.sleep(0)
    gate.close()
    assert first is not None
    assert await waiting is None
    assert await gate.enter() is None


async def test_who_is_cancelled_while_waiting_takes_no_slot() -> None:
    gate = AdmissionGate(RateLimiter(1))
    first = await gate.enter()
    waiting = asyncio.create_task(gate.enter())
    await asyncio.sleep(0)
    waiting.cancel()
    assert first is not None
    gate.answered(first)
    gate.settled()
    second = await gate.enter()
    assert second is not None
    assert gate.in_flight == 1
