"""`complete --sample`: a few rows of a batch, sent and shown."""

from contextlib import closing
from functools import partial

import typer

from flows.signals import run_until_interrupted
from pareta_batch import Batch, Ledger, SampleReport, sample_answers
from pareta_cli.approval import with_approval
from pareta_cli.progress_bar import watched
from tasks import make_client


def make_sample(batch: Batch, rows: int, *, approved: bool = False) -> SampleReport:
    """Send the missing rows of a sample and return all its rows, after the approval that they need.

    Raises BatchError, ParetaError.
    """

    def send(approved: bool) -> SampleReport:
        async def sample() -> SampleReport:
            pareta = await make_client(batch.credentials)
            return await sample_answers(batch, pareta, ledger, rows, approved=approved, watched=watched)

        return run_until_interrupted(sample, partial(typer.echo, err=True))

    with closing(Ledger.open()) as ledger:
        return with_approval(send, approved=approved)
