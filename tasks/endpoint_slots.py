"""Endpoint slots: a Prefect global concurrency limit per endpoint bounds the calls in flight of all its runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import httpx
from prefect import get_client
from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError, concurrency
from prefect.exceptions import ObjectNotFound

from pareta_batch import Batch, Lead, Session
from tasks.direct import run_logger
from tasks.resources import LIMIT_POLL_INTERVAL_S

LEASE_S = 60
"""Seconds of a lease, Prefect's minimum. Raising it keeps the slots of a killed run taken for longer."""


@dataclass(frozen=True)
class Limit:
    """Slots of an endpoint's limit, and the number of them that are free."""

    slots: int
    free: int


@dataclass(frozen=True)
class InitialSlots:
    """Slots leased at the start of a run, the limit at that time, and the maximum that the run can use."""

    slots: int
    limit: int
    max_slots: int

    def allotment(self, limit: Limit | None) -> int:
        """Return the slots that the run should hold of the present limit, in proportion to its initial slots.

        If the limit was deleted, return the maximum.
        """
        if limit is None:
            return self.max_slots
        return max(1, min(self.slots * limit.slots // self.limit, self.max_slots))


class SlotLease:
    """Slots of an endpoint's limit that a run holds, and the number it uses as the limit changes."""

    def __init__(self, name: str, initial: InitialSlots) -> None:
        self.held = initial.slots
        self.used = initial.slots
        self._name = name
        self._initial = initial
        self._session: Session | Lead | None = None

    def attach(self, session: Session | Lead) -> None:
        """Cap the session's calls in flight at the leased slots, now and after every change."""
        self._session = session
        session.limit_to(self.used)
        # Apply it before the first call.
        session.apply(paused=False, max_in_flight=None)

    async def follow(self, poll_interval_s: float) -> None:
        """Lease more slots when the limit is raised, and use fewer when it is lowered, until cancelled."""
        async with AsyncExitStack() as more:
            while True:
                await asyncio.sleep(poll_interval_s)
                try:
                    await self._follow_once(more)
                except (httpx.HTTPError, ConcurrencySlotAcquisitionError):
                    # The Prefect server is unreachable, or another run took the slots: try at the next interval.
                    continue

    async def _follow_once(self, more: AsyncExitStack) -> None:
        limit = await _limit(self._name)
        allotment = self._initial.allotment(limit)
        if limit is not None:
            if extra := max(0, min(allotment - self.held, limit.free)):
                await more.enter_async_context(_slots(self._name, extra, max_retries=0))
                self.held += extra
            allotment = min(allotment, self.held)
        if allotment != self.used:
            run_logger().info("%d instead of %d calls in flight, by limit %s", allotment, self.used, self._name)
        self.used = allotment
        if self._session is not None:
            self._session.limit_to(allotment)


def limit_name(model: str, credentials: str | None = None) -> str:
    """Return the name of an endpoint's limit; each account of the service has its own."""
    return f"pareta:{credentials}/{model}" if credentials else f"pareta:{model}"


@asynccontextmanager
async def lease_slots(batch: Batch, poll_interval_s: float = LIMIT_POLL_INTERVAL_S) -> AsyncIterator[SlotLease | None]:
    """Hold slots of the endpoint's limit while the body runs, initially all up to max_in_flight.

    Waits until the slots are free. Yields None if the endpoint has no limit. Losing the lease does not stop a running
    batch.
    """
    name = limit_name(batch.model, batch.credentials)
    completed = False
    try:
        async with AsyncExitStack() as held:
            initial = await _lease_initial_slots(name, batch.max_in_flight, held, poll_interval_s)
            if initial is None:
                run_logger().info("no concurrency limit %s: max_in_flight alone bounds this run", name)
                yield None
            else:
                run_logger().info("holding %d slots of %s", initial.slots, name)
                async with _following(lease := SlotLease(name, initial), poll_interval_s):
                    yield lease
            completed = True
    except httpx.HTTPError as error:
        if not completed:
            raise
        # The Prefect server is unreachable. The lease expires by itself, and the answers must still be written.
        run_logger().warning("slots of %s not released, they expire in %d s: %s", name, LEASE_S, error)


@asynccontextmanager
async def _following(lease: SlotLease, poll_interval_s: float) -> AsyncIterator[None]:
    following = asyncio.create_task(lease.follow(poll_interval_s))
    try:
        yield
    finally:
        following.cancel()
        (ended,) = await asyncio.gather(following, return_exceptions=True)
        if isinstance(ended, Exception):
            run_logger().warning("stopped following the limit: %r", ended)


async def _lease_initial_slots(
    name: str, max_slots: int, held: AsyncExitStack, poll_interval_s: float
) -> InitialSlots | None:
    while (limit := await _limit(name)) is not None:
        # One lease per run: a lease per request would cost more than the request.
        if slots := min(max_slots, limit.slots):
            run_logger().info("waiting for %d of the %d slots of %s", slots, limit.slots, name)
            try:
                await held.enter_async_context(_slots(name, slots))
                return InitialSlots(slots, limit.slots, max_slots)
            except ConcurrencySlotAcquisitionError as error:
                # The limit was lowered below the requested slots.
                run_logger().info("reading limit %s again: %s", name, error)
        await asyncio.sleep(poll_interval_s)
    return None


def _slots(name: str, count: int, max_retries: int | None = None) -> AbstractAsyncContextManager[None]:
    return concurrency(
        name,
        occupy=count,
        max_retries=max_retries,
        strict=True,
        lease_duration=LEASE_S,
        raise_on_lease_renewal_failure=False,
    )


async def _limit(name: str) -> Limit | None:
    async with get_client() as client:
        try:
            found = await client.read_global_concurrency_limit_by_name(name)
        except ObjectNotFound:
            return None
    return Limit(found.limit, max(0, found.limit - found.active_slots)) if found.active else None
