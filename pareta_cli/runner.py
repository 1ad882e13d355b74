"""One flow run in this process, for a person or a script at a terminal."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, TypeVar

from prefect.exceptions import TerminationSignal
from pydantic import BaseModel
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from flows.outcomes import IncompleteRun, PromotionReport, Report, stopped_for_budget
from flows.signals import run_until_interrupted
from pareta_batch import BatchReport, BatchUnknown, CostUnbounded, DatasetError, LedgerError, OutputError, Snapshot
from pareta_cli.embedded_server import bind_embedded_server
from pareta_client import APIConnectionError, ParetaError, Verdict, verdict_of
from tasks import watcher

CONFIGURATION = frozenset({"AuthenticationError", "PermissionDeniedError", "NotFoundError", "ServiceUnreachable"})

T = TypeVar("T")
AnyFlow = Callable[[Any], Awaitable[Any]]

messages = Console(stderr=True, highlight=False)


class Exit(IntEnum):
    """What the exit status says."""

    DONE = 0
    FAILURES = 1
    BAD_INPUT = 2
    STOPPED = 3


def run_flow(flow: AnyFlow, parameter: BaseModel) -> tuple[Any, Exit]:
    """Run a flow to its end, showing its progress; give its result, if it has one, and the exit status."""
    bind_embedded_server()
    try:
        with _progress_shown():
            result = run_until_interrupted(lambda: _awaited(flow(parameter)), _say)
    except IncompleteRun as unfinished:
        messages.print(unfinished.message, style="yellow", markup=False, soft_wrap=True)
        return unfinished.report, _exit_for(unfinished.report)
    except asyncio.CancelledError:
        _say("cancelled before it was done; run it again: only what is missing is sent")
        return None, Exit.STOPPED
    except (Exception, KeyboardInterrupt, TerminationSignal) as error:  # noqa: BLE001 - reported by its class
        messages.print(f"{type(error).__name__}: {error}", style="red", markup=False, soft_wrap=True)
        return None, _exit_after(error)
    return result, Exit.DONE


async def _awaited(running: Awaitable[T]) -> T:
    return await running


def _say(text: str) -> None:
    messages.print(text, style="yellow", markup=False, soft_wrap=True)


def _exit_for(report: Report) -> Exit:
    if isinstance(report, PromotionReport) and report.comparisons.status != "completed":
        return Exit.STOPPED  # the gate was never asked
    if stopped_for_budget(report):
        return Exit.STOPPED
    batch = report if isinstance(report, BatchReport) else getattr(report, "batch", None)
    if batch is None or batch.stopped is None:
        return Exit.FAILURES
    return Exit.BAD_INPUT if batch.stopped in CONFIGURATION else Exit.STOPPED


def _exit_after(error: BaseException) -> Exit:
    match error:
        case BatchUnknown() | CostUnbounded() | DatasetError() | OutputError() | LedgerError():
            return Exit.BAD_INPUT
        case APIConnectionError(unreachable=True):
            return Exit.BAD_INPUT
        case ParetaError() if verdict_of(error) in (Verdict.FATAL_TO_BATCH, Verdict.FATAL_TO_ITEM):
            return Exit.BAD_INPUT
        case _:
            return Exit.STOPPED


@contextmanager
def _progress_shown() -> Iterator[None]:
    """Show every batch of the run as a bar on a terminal, as lines elsewhere."""
    bar = Progress(
        TextColumn("{task.fields[name]}"), BarColumn(), TextColumn("{task.fields[numbers]}"), console=messages
    )
    bars: dict[str, TaskID] = {}

    def watch(snapshot: Snapshot) -> None:
        if not messages.is_terminal:
            messages.print(f"{snapshot.name}: {snapshot}", markup=False, soft_wrap=True)
            return
        if snapshot.name not in bars:
            bars[snapshot.name] = bar.add_task("", total=snapshot.total, name=snapshot.name, numbers="")
        bar.update(bars[snapshot.name], completed=snapshot.done, numbers=str(snapshot))

    token = watcher.set(watch)
    try:
        with bar:
            yield
    finally:
        watcher.reset(token)
