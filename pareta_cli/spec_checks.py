"""Checks of a spec and its files that need no call to the service."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from pydantic import BaseModel

from flows.parameters import Pipeline, Promotion, Watch
from flows.report_files import check_reports
from pareta_batch import (
    AnyDataset,
    Batch,
    BatchError,
    Dataset,
    DatasetError,
    Ledger,
    check_column,
    check_output,
    check_rows,
)
from pareta_cli.checks import Check
from pareta_cli.specs import SpecError, read_any_spec
from pareta_evals import Comparisons, ComparisonSpec, read_eval_rows
from tasks import check_page, check_plot, check_report


def checks_of(path: Path, overrides: Sequence[str] = (), command: str | None = None) -> Iterator[Check]:
    """Yield the result of each check of a spec file; the checks of its files follow if its fields are valid."""
    try:
        named, spec = read_any_spec(path, overrides, command)
    except SpecError as error:
        yield Check("spec", False, str(error))
        return
    yield Check("spec", True, f"{path}: all fields are valid for {named}")
    yield from checks_of_files(spec)


def checks_of_files(spec: BaseModel) -> Iterator[Check]:
    """Yield the result of each check of the files that a valid spec names."""
    match spec:
        case Batch():
            yield from _batch(spec)
        case Pipeline():
            yield from _batch(spec.batch_on("auto"))
            if spec.truth_column is not None:
                yield _checked("labels", partial(_labels, spec.batch.dataset, spec.truth_column))
            yield from map(_eval_rows, spec.comparisons)
            yield _checked("report", partial(_writable, spec.report_path, partial(check_reports, spec)))
        case Promotion():
            yield _eval_rows(spec.comparison)
            yield _report(spec.comparisons().report_path)
        case Watch():
            yield _eval_rows(spec.comparison)
            yield _checked("plot", partial(_writable, spec.plot_path, partial(check_plot, spec.plot_path)))
        case Comparisons():
            yield from map(_eval_rows, spec.comparisons)
            yield _report(spec.report_path)
        case _:  # a deployment names no files
            return


def _batch(batch: Batch) -> Iterator[Check]:
    yield _checked("dataset", partial(_dataset, batch))
    yield _checked("output", partial(_output, batch))


def _checked(subject: str, work: Callable[[], str]) -> Check:
    try:
        return Check(subject, True, work())
    except BatchError as error:
        return Check(subject, False, str(error))


def _dataset(batch: Batch) -> str:
    rows = check_rows(batch)
    ids = f"unique ids in column {batch.id_column!r}" if batch.id_column else "no id column: a hash identifies a row"
    return f"{batch.dataset}: {rows:,} rows, all fit the prompt; {ids}"


def _output(batch: Batch) -> str:
    with closing(Ledger.open()) as ledger:
        check_page(batch)
        check_output(batch, ledger)
    return f"{batch.output_name} and {batch.page_path.name} can be written"


def _labels(dataset: AnyDataset, column: str) -> str:
    check_column(dataset, column, "the truth column")
    values = [str(row.values[column]) for row in Dataset.open(dataset).rows() if row.values.get(column) is not None]
    if not values:
        raise DatasetError([f"{dataset}: no row has a value in the truth column {column!r}; name another column"])
    return f"column {column!r}: {len(values):,} labels, {len(set(values)):,} different"


def _eval_rows(comparison: ComparisonSpec) -> Check:
    if comparison.rows is None:
        return Check("rows", True, f"{comparison.name}: eval set {comparison.eval_set}, checked by the service")
    return _checked("rows", partial(_read, comparison, comparison.rows))


def _read(comparison: ComparisonSpec, dataset: AnyDataset) -> str:
    rows = read_eval_rows(dataset, comparison.group_column, comparison.slice_column)
    groups = f" in {len(set(rows.groups.values())):,} groups" if rows.groups else ""
    return f"{comparison.name}: {dataset}: {len(rows.items):,} eval rows{groups}, no duplicate input"


def _report(path: str) -> Check:
    return _checked("report", partial(_writable, path, partial(check_report, path, exports=True)))


def _writable(path: str, check: Callable[[], None]) -> str:
    check()
    return f"{path} can be written"
