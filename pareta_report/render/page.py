"""Self-contained HTML page: the verdict first, then the evidence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from pareta_batch import BatchReport
from pareta_report.batch import account, answers_table, batch_measured_quality, result_columns, shown_rows
from pareta_report.comparison import Comparison
from pareta_report.render.files import exports_of, write_whole
from pareta_report.render.limits_chart import limits_over_time
from pareta_report.render.overview import overview

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Page:
    """Content of a report page.

    Args:
        answers: Output file of the batch, or its table.
        id_column: Column of `answers` that identifies a row.
        truth_column: Column of `answers` with the true label.
        ran: Run details, label to text.
        max_rows: Maximum number of answers on the page.
        purchases_micro_usd: Cost of the eval runs and smoke calls beside the batch; None without them.
    """

    title: str
    generated_at: datetime
    batch: BatchReport | None = None
    answers: "Path | str | pd.DataFrame | None" = None
    id_column: str | None = None
    truth_column: str | None = None
    comparisons: Sequence[Comparison] = ()
    ran: Mapping[str, str] = field(default_factory=dict)
    max_rows: int = 500
    purchases_micro_usd: int | None = None


def render_page(page: Page) -> str:
    """Return the page as HTML without external resources; every text is escaped."""
    from pareta_report.render.template import environment, script_hash

    # Measured quality needs all answers; the page shows the first ones.
    rows_read = None if page.truth_column or page.batch is None else page.max_rows
    table = None if page.answers is None else answers_table(page.answers, rows_read)
    measured = batch_measured_quality(table, page.truth_column) if table is not None and page.truth_column else None
    total = page.batch.total if page.batch else None
    return (
        environment()
        .get_template("page.html")
        .render(
            page=page,
            overview=overview(page.comparisons),
            limits=limits_over_time(page.batch.limits, page.batch.wall_s) if page.batch else "",
            output=page.batch and page.batch.output,
            quality=measured,
            latency=None if table is None else latency(table),
            account=account(page.batch, page.purchases_micro_usd) if page.batch else (),
            rows=None
            if table is None
            else shown_rows(table, page.max_rows, page.id_column, page.truth_column, total=total),
            script_hash=script_hash(),
        )
    )


def latency(table: "pd.DataFrame") -> tuple[float, float, int] | None:
    """Return the median and the 95th percentile of the latency in ms, and the number of answered rows."""
    columns = result_columns(list(table.columns))
    known = table[columns["latency_ms"]][table[columns["answer"]].notna()].dropna().astype(float)
    return (float(known.quantile(0.5)), float(known.quantile(0.95)), len(known)) if len(known) else None


def write_exports(comparisons: Sequence[Comparison], page: Path | str) -> tuple[Path, Path]:
    """Write the comparisons as JSON (complete) and CSV (a line per model) to the folder of the page."""
    from pareta_report.render.tables import comparison_table

    as_json, as_csv = exports_of(Path(page))
    whole = TypeAdapter(tuple[Comparison, ...]).dump_json(tuple(comparisons), indent=2).decode()
    write_whole(as_json, f"{whole}\n")
    write_whole(as_csv, comparison_table(comparisons).to_csv(index=False))
    return as_json, as_csv


def write_page(page: Page, path: Path | str) -> Path:
    """Write the page atomically and return its path; raise FileExistsError if the file there is not a report."""
    return write_whole(Path(path), render_page(page))
