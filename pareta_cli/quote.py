"""Quotes of a spec before it runs; only the pilot of a batch sends billed calls."""

from contextlib import closing
from functools import partial

import typer
from pydantic import BaseModel

from flows.quoter import Quoter
from flows.quotes import AnyQuote
from flows.signals import run_until_interrupted
from pareta_batch import ALL_UNSETTLED, Batch, Ledger, RowSelection, quote_rows
from pareta_cli.progress_bar import watched
from pareta_cli.specs import SpecError
from tasks import make_client


def make_quote(
    spec: BaseModel, pilot: int = 0, *, approved: bool = False, wanted: RowSelection = ALL_UNSETTLED
) -> AnyQuote:
    """Return the quote of a spec; for a batch, that of the rows `wanted`, after a pilot of `pilot` rows.

    Raises BatchError, ParetaError, and SpecError if `pilot` is set for a spec that is not a batch.
    """
    if pilot and not isinstance(spec, Batch):
        raise SpecError(f"--pilot {pilot}: the spec is not a batch; remove --pilot")

    async def quote() -> AnyQuote:
        if isinstance(spec, Batch):
            pareta = await make_client(spec.credentials)
            return await quote_rows(
                spec, pareta, ledger, pilot=pilot, approved=approved, wanted=wanted, watched=watched
            )
        async with await make_client(getattr(spec, "credentials", None)) as pareta:
            return await Quoter(pareta, ledger).quote(spec)

    with closing(Ledger.open()) as ledger:
        return run_until_interrupted(quote, partial(typer.echo, err=True))
