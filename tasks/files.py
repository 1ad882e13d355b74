"""Checks of the files that a run will write besides the answers, before anything is paid for them."""

from collections.abc import Sequence
from pathlib import Path

from pareta_batch import Batch, OutputError, part_beside
from pareta_report import exports_of, may_replace


def check_page(batch: Batch) -> None:
    """Check that the page beside the answers file replaces no file of somebody else; raises OutputError."""
    _check(batch.page_path, "page beside the answers file", "output")


def check_report(path: str, *, exports: bool, apart_from: Sequence[Path] = ()) -> None:
    """Check that a report, and the `exports` of its comparisons beside it, replace no file of somebody else.

    Nor may they be a file that the run itself reads or writes (`apart_from`). Raises OutputError.
    """
    page = Path(path)
    if exports and page in exports_of(page):
        raise OutputError(f"report {page}: {page.suffix} is for the comparisons beside it; choose a report in .html")
    for file in (page, *(exports_of(page) if exports else ())):
        _check(file, "report", "report")
        for other in apart_from:
            if file.resolve() == other.resolve():
                raise OutputError(f"report {file} is {other} itself: choose another report")


def check_plot(path: str) -> None:
    """Check that the plot of a watch replaces no file of somebody else; raises OutputError."""
    _check(Path(path), "plot", "plot")


def _check(path: Path, what: str, parameter: str) -> None:
    try:
        if not may_replace(path):
            raise OutputError(
                f"{what} {path}: a file that is no report of ours is there; move it, or choose another {parameter}"
            )
        trial = part_beside(path.resolve())
        trial.parent.mkdir(parents=True, exist_ok=True)
        trial.open("xb").close()
        trial.unlink()
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: symlinks in a circle
        raise OutputError(f"{what} {str(path)!r} cannot be written: {error}; choose another {parameter}") from error
