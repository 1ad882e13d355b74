"""Checks of a batch's runner before anything is sent."""

import multiprocessing
from collections.abc import Mapping
from importlib.util import find_spec

from pareta_batch.errors import LedgerError, RunnerUnavailable
from pareta_batch.ledger import Ledger
from pareta_batch.processes import Runner
from pareta_batch.spec import Batch

PACKAGES: Mapping[Runner, str] = {"ray": "ray", "dask": "distributed"}
"""The package that a runner needs, by runner; each is an extra of this project."""


def check_runner(batch: Batch, ledger: Ledger) -> None:
    """Check that the ledger serves the batch's processes, and that its runner can start them.

    Raises LedgerError for a ledger on SQLite, RunnerUnavailable.
    """
    if not batch.has_members:
        return
    package = PACKAGES.get(batch.runner)
    if package is not None and find_spec(package) is None:
        install = f"pip install 'pareta-pipelines[{batch.runner}]'"
        raise RunnerUnavailable(f"runner {batch.runner!r}: package {package} is not installed; {install}")
    if batch.runner == "local" and _is_a_child():
        raise RunnerUnavailable(
            f"processes {batch.processes}: this process was started by a run, which imports its script, and starts "
            'none itself; in the script put the call under if __name__ == "__main__":'
        )
    if ledger.is_sqlite:
        asked = f"processes {batch.processes}" if batch.processes > 1 else f"runner {batch.runner!r}"
        raise LedgerError(
            f"{asked}: ledger {ledger.place} on SQLite serves one process; set PARETA_LEDGER_URL to a PostgreSQL "
            "database, as in postgresql://USER:PASSWORD@HOST/DATABASE"
        )


def _is_a_child() -> bool:
    """Return whether this process was started by `multiprocessing` and may start none: daemonic, or importing."""
    process = multiprocessing.current_process()
    # `multiprocessing` sets `_inheriting` while a new process imports the script of its parent.
    return process.daemon or getattr(process, "_inheriting", False)
