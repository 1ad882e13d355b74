"""`complete --sample`: a few rows of a batch, sent and shown."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import typer

from flows.signals import run_until_interrupted
from pareta_batch import Batch, Ledger, SampleReport, sample_answers
from pareta_cli.specs import read_spec
from tasks import make_client


def make_sample(path: Path, overrides: Sequence[str], rows: int) -> SampleReport:
    """Send the missing rows of a sample and return all its rows. Raises SpecError, BatchError, ParetaError."""
    batch = read_spec(Batch, path, overrides)
    ledger = Ledger.open()
    try:
        return run_until_interrupted(lambda: _sample(batch, ledger, rows), partial(typer.echo, err=True))
    finally:
        ledger.close()


async def _sample(batch: Batch, ledger: Ledger, rows: int) -> SampleReport:
    return await sample_answers(batch, await make_client(batch.credentials), ledger, rows)
