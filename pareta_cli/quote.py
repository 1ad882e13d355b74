"""Quotes of a spec before it runs; only the pilot of a batch sends billed calls."""

from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import typer
from pydantic import BaseModel

from flows.quoter import Quoter
from flows.quotes import AnyQuote
from flows.signals import run_until_interrupted
from pareta_batch import ALL_UNSETTLED, Batch, Ledger, RowSelection, quote_rows
from pareta_cli.spec_kinds import Command, command_for, kind_of
from pareta_cli.specs import SpecError, fields_of, spec_from
from tasks import make_client

QUOTED = tuple(command for command in Command if command is not Command.DEPLOY)
"""Commands with a quote: a deployed endpoint has no cost until it answers."""


def spec_of(path: Path, overrides: Sequence[str], command: str | None = None) -> BaseModel:
    """Read the spec of a command; without `command`, detect it from the fields. Raises SpecError."""
    if command is not None and command not in QUOTED:
        raise SpecError(f"--for {command!r}: unknown command; choose one of {', '.join(QUOTED)}")
    fields = fields_of(path)
    found = Command(command or command_for(path, fields))
    if found not in QUOTED:
        raise SpecError(f"{path}: spec of {found}, which has no quote; name the spec of {', '.join(QUOTED)}")
    return spec_from(kind_of(found), path, fields, overrides)


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
            return await quote_rows(spec, pareta, ledger, pilot=pilot, approved=approved, wanted=wanted)
        async with await make_client(getattr(spec, "credentials", None)) as pareta:
            return await Quoter(pareta, ledger).quote(spec)

    with closing(Ledger.open()) as ledger:
        return run_until_interrupted(quote, partial(typer.echo, err=True))
