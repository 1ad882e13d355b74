"""Live control: what a person asks for at another terminal, a run under way does within a second."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pareta_batch.engine.control import POLL_INTERVAL_S, Controls, remote_control
from pareta_batch.engine.planning import register_rows
from pareta_batch.engine.session import open_session
from pareta_batch.errors import BatchError
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.run import complete_shards
from pareta_client import AsyncPareta
from pareta_sandbox.testing import Sandbox
from tests.batch.batches import batch_in, until

ROWS = 600


@asynccontextmanager
async def under_way(folder: Path, sandbox: Sandbox, ledger: Ledger) -> AsyncIterator[Controls]:
    """Start a run of many rows, yield its controls, and stop the run at the end."""
    batch = batch_in(folder, ROWS, max_in_flight=8)
    sandbox.change(latency_ms=50)
    plan = register_rows(batch, ledger)
    client = AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url)
    async with open_session(batch, client, ledger) as session, remote_control(session, ledger):
        run = asyncio.create_task(complete_shards(session, plan.missing))
        yield Controls(ledger, batch.name)
        session.stop_because("Enough", "the test has seen what it came for")
        await run


async def seen(check: Callable[[], bool]) -> None:
    await until(check, within_s=30)


async def next_look(controls: Controls) -> None:
    """Wait until the run has looked at the wishes once more."""
    before = _looked_at(controls)
    await until(lambda: _looked_at(controls) != before, within_s=30)


def test_a_run_looks_at_the_wishes_more_than_once_a_second() -> None:
    assert POLL_INTERVAL_S <= 0.5, "what is obeyed at the next look is effective within a second"


async def test_a_pause_is_obeyed_at_the_next_look(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    async with under_way(tmp_path, sandbox, ledger) as controls:
        await seen(lambda: sandbox.books().completions > 8)
        controls.request(paused=True)
        await next_look(controls)
        await next_look(controls)  # by then the one before has been obeyed
        sent = sandbox.books().completions_seen
        await next_look(controls)
        assert sandbox.books().completions_seen == sent < ROWS


async def test_a_paused_run_sends_nothing_until_it_is_resumed(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    async with under_way(tmp_path, sandbox, ledger) as controls:
        await seen(lambda: sandbox.books().completions > 8)
        controls.request(paused=True)
        await next_look(controls)
        await next_look(controls)  # by then the pause is applied: no call is on its way to the service
        await seen(lambda: sandbox.books().in_flight == 0 and _told(controls)["in_flight"] == 0)
        before = sandbox.books()
        await asyncio.sleep(0.3)
        sandbox.silent_since(before)
        controls.request(paused=False)
        await seen(lambda: sandbox.books().completions > before.completions)


async def test_a_lower_bound_holds_and_can_be_raised_again(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    async with under_way(tmp_path, sandbox, ledger) as controls:
        await seen(lambda: sandbox.books().in_flight > 2)
        controls.request(max_in_flight=2)
        await seen(lambda: 0 < sandbox.books().in_flight <= 2)
        controls.request(max_in_flight=8)
        await seen(lambda: sandbox.books().in_flight > 2)


async def test_the_run_tells_how_far_it_is(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    async with under_way(tmp_path, sandbox, ledger) as controls:
        await seen(lambda: controls.live() is not None and _told(controls).get("done", 0) > 0)
        assert _told(controls)["total"] == ROWS
    assert controls.live() is None


async def test_without_a_run_there_is_nothing_to_control(ledger: Ledger) -> None:
    with pytest.raises(BatchError, match="no run of batch 'test' is under way"):
        Controls(ledger, "test").request(paused=True)


def _looked_at(controls: Controls) -> float | None:
    live = controls.live()
    return live["told_at"] if live else None


def _told(controls: Controls) -> dict[str, float]:
    live = controls.live()
    return (live or {}).get("snapshot") or {}
