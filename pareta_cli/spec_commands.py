"""Commands that read a spec and run no flow: its quote, its checks, its schema."""

from typing import Annotated

import typer

from pareta_cli.options import AsJson, Overrides, SpecFile, report_bad_input


def quote(
    spec: SpecFile,
    pilot: Annotated[
        int, typer.Option(min=0, max=1_000_000, help="Rows to send first; their answers are part of the batch.")
    ] = 0,
    command: Annotated[
        str | None,
        typer.Option(
            "--for", metavar="COMMAND", help="complete, compare, promote, watch or run; by default from the spec."
        ),
    ] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Quote the rows to send, the eval runs to buy and their cost; only a pilot sends billed calls."""
    from pareta_cli.quote import make_quote, spec_of

    with report_bad_input():
        quote = make_quote(spec_of(spec, overrides or (), command), pilot)
    typer.echo(quote.model_dump_json(indent=2) if as_json else str(quote))
