"""`complete --sample`: a few rows of a batch, sent and shown."""

from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import typer

from flows.signals import run_until_interrupted
from pareta_batch import Batch, Ledger, SampleReport, sample_answers
from pareta_cli.approval import with_approval
from pareta_cli.specs import read_spec
from tasks import make_client


def make_sample(path: Path, overrides: Sequence[str], rows: int, *, approved: bool = False) -> SampleReport:
    """Send the missing rows of a sample and return all its rows, after the approval that they need.

    Raises SpecError, BatchError, ParetaError.
    """
    batch = read_spec(Batch, path, overrides)

    def send(approved: bool) -> SampleReport:
        async def sample() -> SampleReport:
            return await sample_answers(batch, await make_client(batch.credentials), ledger, rows, approved=approved)

        return run_until_interrupted(sample, partial(typer.echo, err=True))

    with closing(Ledger.open()) as ledger:
        return with_approval(send, approved=approved)
