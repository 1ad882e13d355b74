"""The fleet limit: a Prefect global concurrency limit per endpoint bounds the calls in flight of all runs together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import httpx
from prefect import get_client, get_run_logger
from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError, concurrency
from prefect.exceptions import ObjectNotFound

from pareta_batch import Batch, Session

# The shortest that Prefect takes: a killed run's slots come back a minute later.
LEASE_S = 60

LOOK_EVERY_S = 5.0


@dataclass(frozen=True)
class Limit:
    """How many slots an endpoint's limit has, and how many of them nobody holds."""

    slots: int
    free: int


@dataclass(frozen=True)
class InitialSlots:
    """The slots that a run began with, of how many, and the most that it has use for."""

    slots: int
    limit: int
    most: int

    def share_of(self, limit: Limit | None) -> int:
        """Give how many slots the run should have of the limit as it is now: in proportion to what it began with.

        When there is no limit any more: all that it has use for.
        """
        if limit is None:
            return self.most
        return max(1, min(self.slots * limit.slots // self.limit, self.most))


class SlotLease:
    """The slots of an endpoint's limit that a run holds, and how many of them it uses as somebody changes the limit."""

    def __init__(self, name: str, block: InitialSlots) -> None:
        self.held = block.slots
        self.used = block.slots
        self._name = name
        self._block = block
        self._session: Session | None = None

    def bound(self, session: Session) -> None:
        """Let a session have no more calls in flight than it may use slots, now and from now on."""
        self._session = session
        session.limit_to(self.used)
        # At once: before its first call.
        session.apply(paused=False, max_in_flight=None)

    async def follow(self) -> None:
        """Take more slots when the limit has more, and use fewer when it has less, until cancelled."""
        async with AsyncExitStack() as more:
            while True:
                await asyncio.sleep(LOOK_EVERY_S)
                try:
                    await self._follow_once(more)
                except (httpx.HTTPError, ConcurrencySlotAcquisitionError):
                    # The Prefect server is away for a while, or another run was faster: a look is missed.
                    continue

    async def _follow_once(self, more: AsyncExitStack) -> None:
        limit = await _limit(self._name)
        share = self._block.share_of(limit)
        if limit is not None:
            if wanted := max(0, min(share - self.held, limit.free)):
                await more.enter_async_context(_slots(self._name, wanted, max_retries=0))
                self.held += wanted
            share = min(share, self.held)
        if share != self.used:
            get_run_logger().info("%d instead of %d calls in flight, as %s has it", share, self.used, self._name)
        self.used = share
        if self._session is not None:
            self._session.limit_to(share)


def limit_name(model: str) -> str:
    """Give the name of an endpoint's limit."""
    return f"pareta:{model}"


@asynccontextmanager
async def lease_slots(batch: Batch) -> AsyncIterator[SlotLease | None]:
    """Hold slots of the endpoint's limit while the body runs: at first as many as there are, up to max_in_flight.

    Waits for the slots. A missing limit bounds nothing. A lease that is lost on the way does not end a paid batch.
    """
    name = limit_name(batch.model)
    sent = False
    try:
        async with AsyncExitStack() as held:
            block = await _first_block(name, batch.max_in_flight, held)
            if block is None:
                get_run_logger().info("no concurrency limit %s: only max_in_flight bounds this run", name)
                yield None
            else:
                get_run_logger().info("holding %d slots of %s", block.slots, name)
                async with _following(share := SlotLease(name, block)):
                    yield share
            sent = True
    except httpx.HTTPError as error:
        if not sent:
            raise
        # The Prefect server is away: the slots come back when the lease runs out, and the answers are still to write.
        get_run_logger().warning("the slots of %s could not be given back: %s", name, error)


@asynccontextmanager
async def _following(share: SlotLease) -> AsyncIterator[None]:
    following = asyncio.create_task(share.follow())
    try:
        yield
    finally:
        following.cancel()
        (ended,) = await asyncio.gather(following, return_exceptions=True)
        if isinstance(ended, Exception):
            get_run_logger().warning("the limit was not followed to the end: %r", ended)


async def _first_block(name: str, most: int, held: AsyncExitStack) -> InitialSlots | None:
    while (limit := await _limit(name)) is not None:
        # Once per run and all at a time: a slot per request would cost more than the request.
        if slots := min(most, limit.slots):
            get_run_logger().info("waiting for %d of the %d slots of %s", slots, limit.slots, name)
            try:
                await held.enter_async_context(_slots(name, slots))
                return InitialSlots(slots, limit.slots, most)
            except ConcurrencySlotAcquisitionError as error:
                # Somebody made the limit smaller than what it waits for.
                get_run_logger().info("looking at %s again: %s", name, error)
        await asyncio.sleep(LOOK_EVERY_S)
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
