"""Progress of a batch on a terminal or in a notebook: a bar, or lines where no terminal is attached."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from pareta_batch.engine import Controlled, Snapshot
from pareta_batch.money import dollars

MAX_NAME_CELLS = 20
"""Terminal cells of a batch's name. Raising it leaves fewer cells for the numbers."""
MIN_BAR_CELLS = 10
"""Terminal cells of the bar at least. Raising it drops numbers on a narrow terminal."""
UPDATE_INTERVAL_S = 1.0
"""Seconds between snapshots. Raising it makes the progress bar coarser."""


@contextmanager
def progress_bar(console: Console) -> Iterator[Callable[[Snapshot], None]]:
    """Yield a function that shows a snapshot: as a bar for each batch, or as a line without a terminal."""
    if not console.is_terminal:
        yield lambda snapshot: console.print(f"{snapshot.name}: {snapshot}", markup=False, soft_wrap=True)
        return
    bar = Progress(
        TextColumn("{task.fields[name]}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[numbers]}", markup=False),
        console=console,
    )
    bars: dict[str, TaskID] = {}

    def watch(snapshot: Snapshot) -> None:
        name = shortened(snapshot.name)
        # A column is separated from its neighbour by a space.
        numbers = fitting_numbers(snapshot, console.width - cell_len(name) - MIN_BAR_CELLS - 2)
        if snapshot.name not in bars:
            bars[snapshot.name] = bar.add_task("", total=max(1, snapshot.total), name=name, numbers=numbers)
        done = snapshot.done if snapshot.total else 1
        bar.update(bars[snapshot.name], completed=done, name=name, numbers=numbers)

    with bar:
        yield watch


@asynccontextmanager
async def watch_session(session: Controlled, console: Console | None = None) -> AsyncIterator[None]:
    """Show the progress of a session while the body runs, and at its end; by default on standard output."""
    console = console or Console()
    with _one_line(console) if console.is_jupyter else progress_bar(console) as watch:
        showing = asyncio.create_task(_repeat(lambda: watch(session.progress.snapshot())))
        try:
            yield
        finally:
            showing.cancel()
            watch(session.progress.snapshot())


async def _repeat(show: Callable[[], None]) -> None:
    while True:
        show()
        await asyncio.sleep(UPDATE_INTERVAL_S)


@contextmanager
def _one_line(console: Console) -> Iterator[Callable[[Snapshot], None]]:
    """Yield a function that shows a snapshot in the place of the last one; a notebook has no bar without widgets."""
    widest = 0

    def watch(snapshot: Snapshot) -> None:
        nonlocal widest
        line = f"{snapshot.name}: {snapshot}"
        widest = max(widest, len(line))
        console.file.write(f"\r{line:<{widest}}")
        console.file.flush()

    yield watch
    console.file.write("\n")


def shortened(name: str) -> str:
    """Return the name of a batch in at most `MAX_NAME_CELLS` cells."""
    return name if cell_len(name) <= MAX_NAME_CELLS else f"{set_cell_size(name, MAX_NAME_CELLS - 1)}…"


def fitting_numbers(snapshot: Snapshot, cells: int) -> str:
    """Return the numbers of a snapshot that fit in the cells: rows and remaining time always, others as they fit."""
    rows = f"{snapshot.done}/{snapshot.total}"
    remaining = f"waits, {snapshot.remaining}" if snapshot.waits and not snapshot.paused else snapshot.remaining
    chosen = [rows, remaining]
    # The most important first; each is placed before the remaining time.
    for extra in (
        f"{snapshot.failed} failed" if snapshot.failed else "",
        dollars(snapshot.spent_micro_usd),
        "" if snapshot.paused else f"{snapshot.rate:.1f} rows/s",
        f"{snapshot.in_flight} in flight",
        f"({snapshot.waits})" if snapshot.waits else "",
    ):
        longer = [*chosen[:-1], extra, remaining]
        if extra and cell_len(", ".join(longer)) <= cells:
            chosen = longer
    return ", ".join(chosen)
