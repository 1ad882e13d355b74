"""How runs end: an exception that carries the report, across processes too."""

import pickle

import cloudpickle  # type: ignore[import-untyped]
import pytest

from flows.endings import Unfinished, end
from pareta_batch.batch import Batch
from pareta_batch.errors import BatchStopped
from pareta_batch.outcomes import Tally
from pareta_batch.report import BatchReport, batch_report

STOP = BatchStopped("InsufficientCreditsError", "out of credit")


def report(*, stop: BatchStopped | None = None, failed: int = 0) -> BatchReport:
    batch = Batch(name="reviews", model="auto", dataset="reviews.csv", prompt="{text}")
    tally = Tally(settled=8, failed=failed, pending=4 - failed if stop else 0)
    return batch_report(batch, tally, changed=0, stop=stop, wall_s=1.0)


@pytest.mark.parametrize("pickler", [pickle, cloudpickle])
def test_an_unfinished_run_crosses_processes_with_its_report(pickler: object) -> None:
    unfinished = Unfinished(report(stop=STOP), "stopped; top up")
    copy = pickle.loads(getattr(pickler, "dumps")(unfinished))  # noqa: B009
    assert (str(copy), copy.report) == (str(unfinished), unfinished.report)


def test_a_completed_batch_ends_with_its_report() -> None:
    done = report()
    assert end(done) is done
