"""Progress of a run on the terminal: a bar for each batch, or lines where no terminal is attached."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from flows.outcomes import on_run
from pareta_batch import Snapshot, dollars
from tasks import watcher

MAX_NAME_CELLS = 20
"""Terminal cells of a batch's name. Raising it leaves fewer cells for the numbers."""
MIN_BAR_CELLS = 10
"""Terminal cells of the bar at least. Raising it drops numbers on a narrow terminal."""
MAX_BAR_CELLS = 40


@contextmanager
def show_progress(console: Console) -> Iterator[None]:
    """Show each batch of the runs in the body, and the link to the flow run if there is one."""
    bar = Progress(
        TextColumn("{task.fields[name]}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[numbers]}", markup=False),
        console=console,
    )
    bars: dict[str, TaskID] = {}

    def watch(snapshot: Snapshot) -> None:
        if not console.is_terminal:
            console.print(f"{snapshot.name}: {snapshot}", markup=False, soft_wrap=True)
            return
        name = shortened(snapshot.name)
        # A column is separated from its neighbour by a space.
        numbers = fitting_numbers(snapshot, console.width - cell_len(name) - MIN_BAR_CELLS - 2)
        if snapshot.name not in bars:
            bars[snapshot.name] = bar.add_task("", total=max(1, snapshot.total), name=name, numbers=numbers)
        done = snapshot.done if snapshot.total else 1
        bar.update(bars[snapshot.name], completed=done, name=name, numbers=numbers)

    progress = watcher.set(watch)
    link = on_run.set(lambda url: console.print(f"run: {url}", markup=False, soft_wrap=True))
    try:
        with bar:
            yield
    finally:
        on_run.reset(link)
        watcher.reset(progress)


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
