"""Runs of a batch in processes of their own, that can be killed."""

import asyncio
import resource
import sys
from contextlib import AbstractContextManager
from multiprocessing.process import BaseProcess
from threading import Barrier

from pareta_batch.ledger.ledger import Ledger
from pareta_batch.run import run_batch
from pareta_batch.spec import Batch
from pareta_client import AsyncPareta
from pareta_sandbox.testing import Sandbox
from tests.forks import FORKS, forked

# The transport is imported at the first request: by hand, so that not every run has to do it.
FORKS.set_forkserver_preload([__name__, "pareta_client.transport.aiohttp_channel"])


def running_elsewhere(
    batch: Batch, sandbox: Sandbox, ledger_url: str, longest_file: int | None = None
) -> AbstractContextManager[BaseProcess]:
    """Run a batch in another process; it is killed, as by `kill -9`, if it is still there at the end.

    `longest_file`: no file can grow beyond so many bytes, as on a disk that is full.
    """
    given = (batch.model_dump_json(), sandbox.api_key, sandbox.base_url, ledger_url, longest_file)
    return forked(_run, *given)


def _run(batch: str, api_key: str, base_url: str, ledger_url: str, longest_file: int | None) -> None:
    if longest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (longest_file, resource.RLIM_INFINITY))
    try:
        asyncio.run(
            _run_batch(Batch.model_validate_json(batch), AsyncPareta(api_key=api_key, base_url=base_url), ledger_url)
        )
    except Exception as error:  # noqa: BLE001 - its class is all that is looked at
        sys.exit(EXITS.get(type(error).__name__, 1))


EXITS = {"LedgerError": 3, "BatchBusy": 4}


async def _run_batch(batch: Batch, pareta: AsyncPareta, ledger_url: str) -> None:
    report = await run_batch(batch, pareta, Ledger.open(ledger_url))
    if report.stopped is not None:
        sys.exit(EXITS.get(report.stopped, 1))


def open_at_once(ledger_url: str, start: Barrier) -> None:
    """Open a ledger at the same moment as other processes, and read it."""
    start.wait(60)
    ledger = Ledger.open(ledger_url)
    ledger.tally("test")
    ledger.close()
