"""Checks of the report files of a run, before anything is paid."""

from collections.abc import Sequence
from pathlib import Path

from pareta_batch import Batch, OutputError, check_replaceable
from pareta_report import exports_of, may_replace


def check_page(batch: Batch) -> None:
    """Check that the page of the answers file replaces only a page of ours. Raises OutputError."""
    _check(batch.page_path, "page beside the answers file", "output")


def check_report(path: str, *, exports: bool, apart_from: Sequence[Path] = ()) -> None:
    """Check that a report and the exports of its comparisons replace only reports of ours.

    Args:
        path: Path of the HTML report.
        exports: Whether the run also writes the comparisons as JSON and CSV.
        apart_from: Files that the run itself reads or writes.

    Raises:
        OutputError: A file is not a report of ours, is one of `apart_from`, or is not writable.
    """
    page = Path(path)
    if exports and page in exports_of(page):
        raise OutputError(f"report {str(page)!r}: {page.suffix} is reserved for the exports; choose a report in .html")
    for file in (page, *(exports_of(page) if exports else ())):
        _check(file, "report", "report")
        for other in apart_from:
            if file.resolve() == other.resolve():
                raise OutputError(f"report {str(file)!r}: the run itself uses {str(other)!r}; choose another report")


def check_plot(path: str) -> None:
    """Check that the plot of a watch replaces only a plot of ours. Raises OutputError."""
    _check(Path(path), "plot", "plot")


def _check(path: Path, what: str, parameter: str) -> None:
    try:
        if not may_replace(path):
            raise OutputError(
                f"{what} {str(path)!r}: existing file is not a report of ours; move it or choose another {parameter}"
            )
        check_replaceable(path)
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: circular symlinks
        raise OutputError(f"{what} {str(path)!r}: not writable: {error}; choose another {parameter}") from error
