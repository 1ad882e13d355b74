"""The progress bar keeps bar and remaining time at 80 columns, and a paused run looks paused."""

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from pareta_batch import Snapshot
from pareta_batch.terminal import MAX_NAME_CELLS, MIN_BAR_CELLS, fitting_numbers, shortened
from pareta_cli.progress_bar import show_progress
from tasks import watcher

WAIT = "waits 2 m 40 s (RateLimitError: slow down)"


def snapshot(**fields: object) -> Snapshot:
    known = {"name": "tickets", "total": 1_000, "done": 120, "failed": 0, "in_flight": 8, "rate": 5.5}
    return Snapshot(**(known | {"spent_micro_usd": 51_800, "eta_s": 160.0} | fields))  # type: ignore[arg-type]


SNAPSHOTS = st.builds(
    Snapshot,
    name=st.text(min_size=1, max_size=60),
    total=st.integers(0, 10**7),
    done=st.integers(0, 10**7),
    failed=st.integers(0, 10**6),
    in_flight=st.integers(0, 9_999),
    rate=st.floats(0, 10**5),
    spent_micro_usd=st.integers(0, 10**10),
    eta_s=st.none() | st.floats(0, 10**7),
    waits=st.none() | st.just(WAIT),
    paused=st.booleans(),
)


def shown(width: int, *snapshots: Snapshot) -> list[str]:
    """Return the lines that a terminal of this width shows at the end."""
    console = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None, legacy_windows=False)
    with show_progress(console):
        watch = watcher.get()
        assert watch is not None
        for each in snapshots:
            watch(each)
    text = console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
    return [line.rstrip("\n") for line in text.split("\x1b[2K")[-1].replace("\x1b[?25h", "").splitlines()]


def test_a_snapshot_fits_in_80_columns_with_bar_and_remaining_time() -> None:
    (line,) = shown(80, snapshot(name="support-tickets-of-november", failed=12))
    name, numbers = "support-tickets-of-… ━", " 120/1000, 12 failed, $0.0518, ETA 2 m 40 s"
    assert line.startswith(name)
    assert line.endswith(numbers)
    assert cell_len(line) == 80
    assert 80 - cell_len(name) - cell_len(numbers) + 1 >= MIN_BAR_CELLS


def test_a_wide_terminal_shows_every_number() -> None:
    (line,) = shown(160, snapshot(waits=WAIT))
    assert line.endswith(f"120/1000, $0.0518, 5.5 rows/s, 8 in flight, ({WAIT}), waits, ETA 2 m 40 s")


def test_a_paused_run_looks_paused() -> None:
    (line,) = shown(80, snapshot(paused=True, in_flight=0))
    assert line.endswith("120/1000, $0.0518, 0 in flight, paused")
    assert "ETA" not in str(snapshot(paused=True))
    assert "paused" in str(snapshot(paused=True))


@given(SNAPSHOTS)
def test_rows_and_remaining_time_are_always_there_and_more_only_as_it_fits(given: Snapshot) -> None:
    for cells in (0, 48, 200):
        numbers = fitting_numbers(given, cells)
        assert numbers.startswith(f"{given.done}/{given.total}, ")
        assert numbers.endswith(given.remaining)
        least = f"{given.done}/{given.total}, waits, {given.remaining}"
        assert cell_len(numbers) <= max(cells, cell_len(least))
    assert cell_len(shortened(given.name)) <= MAX_NAME_CELLS


def test_without_a_terminal_each_snapshot_is_a_line() -> None:
    console = Console(file=io.StringIO(), force_terminal=False, width=80)
    with show_progress(console):
        watch = watcher.get()
        assert watch is not None
        watch(snapshot())
    expected = "tickets: 120/1000 rows, 0 failed, 8 in flight, 5.5 rows/s, $0.0518 spent, ETA 2 m 40 s"
    assert console.file.getvalue().splitlines()[0] == expected  # type: ignore[attr-defined]  # a StringIO
