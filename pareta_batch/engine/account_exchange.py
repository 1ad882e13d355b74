"""The exchange of a run with the other runs of its account, through the ledger, about once a second."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import uuid4

from pareta_batch.engine.loop_thread import LoopThread
from pareta_batch.ledger import AccountRuns, Ledger, account_digest
from pareta_batch.rate_limit import AdmissionGate, Usage, allocation_of
from pareta_client import AsyncPareta

INTERVAL_S = 1.0
"""Seconds between two exchanges; higher writes less to the ledger, and follows other runs later."""

log = logging.getLogger(__name__)


@asynccontextmanager
async def share_account(
    gate: AdmissionGate, loop: LoopThread, ledger: Ledger, pareta: AsyncPareta, batch: str
) -> AsyncIterator[None]:
    """Apply the allocation of the account's limits to the gate while the body runs.

    Runs share an account if they have one base URL, one API key and one ledger. The first exchange precedes the body:
    a run that joins others begins at its allocated rate. A failed exchange is logged; the limiter keeps the last one.
    """
    runs = AccountRuns(ledger, account_digest(pareta.base_url, pareta.api_key), uuid4().hex)
    exchange = _Exchange(gate, loop, runs, batch)
    exchanging = None
    try:
        await exchange.once()
        exchanging = asyncio.create_task(exchange.repeat())
        yield
    finally:
        if exchanging is not None:
            exchanging.cancel()
        try:
            await asyncio.to_thread(exchange.end)
        except RuntimeError:
            # The process ends, and its thread pools start no thread any more.
            exchange.end()


class _Exchange:
    def __init__(self, gate: AdmissionGate, loop: LoopThread, runs: AccountRuns, batch: str) -> None:
        self._gate = gate
        self._loop = loop
        self._runs = runs
        self._batch = batch
        self._fails = False
        self._ended = False
        self._one_exchange = threading.Lock()

    async def repeat(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL_S)
            await self.once()

    async def once(self) -> None:
        try:
            own = replace(await self._loop.run(self._usage()), run=self._runs.run)
            others = await asyncio.to_thread(self._exchange, own)
            allocation = allocation_of(own, others, self._runs.clock_s)
        except Exception as error:  # noqa: BLE001 - the run goes on with its last allocation
            self._warn(error)
            return
        self._fails = False
        self._loop.call_soon(lambda: self._gate.allocate(allocation))

    def _exchange(self, own: Usage) -> Sequence[Usage]:
        with self._one_exchange:
            return () if self._ended else self._runs.exchange(own)

    def end(self) -> None:
        self._ended = True
        if self._fails:
            return  # the report of a run without heartbeats expires
        try:
            # A cancelled task leaves the thread of its exchange, which would report again.
            with self._one_exchange:
                self._runs.end()
        except Exception as error:  # noqa: BLE001 - the run has ended
            self._warn(error)

    async def _usage(self) -> Usage:
        return self._gate.usage()

    def _warn(self, error: Exception) -> None:
        if not self._fails:
            log.warning("batch %s: the other runs of its account cannot be read: %s", self._batch, error)
        self._fails = True
