"""Commands that read a spec and run no flow: its quote, its checks, its schema."""

import json
from typing import Annotated

import typer

from pareta_cli.checks import print_checks
from pareta_cli.options import AsJson, Overrides, SpecFile, Yes, report_bad_input
from pareta_cli.spec_kinds import OTHER_NAMES, Command, command_named, kind_of

ForCommand = Annotated[
    str | None,
    typer.Option("--for", metavar="COMMAND", help="Command that reads the spec; by default from its fields."),
]


def quote(
    spec: SpecFile,
    pilot: Annotated[
        int, typer.Option(min=0, max=1_000_000, help="Rows to send first; their answers are part of the batch.")
    ] = 0,
    command: ForCommand = None,
    overrides: Overrides = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Quote the rows to send, the eval runs to buy and their cost; only a pilot sends billed calls."""
    from pareta_cli.approval import with_approval
    from pareta_cli.quote import make_quote, spec_of

    with report_bad_input():
        found = spec_of(spec, overrides or (), command)
        quote = with_approval(lambda approved: make_quote(found, pilot, approved=approved), approved=yes)
    typer.echo(quote.model_dump_json(indent=2) if as_json else str(quote))


def validate(spec: SpecFile, command: ForCommand = None, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Check a spec, its dataset, its prompt on every row, and its outputs; nothing is sent."""
    from pareta_cli.spec_checks import checks_of

    print_checks(checks_of(spec, overrides or (), command), as_json=as_json)


def schema(
    command: Annotated[
        str,
        typer.Argument(
            metavar="COMMAND",
            help="Command that reads the spec: complete, compare, promote, watch, run or deploy.",
            autocompletion=lambda: [*Command, *OTHER_NAMES],
        ),
    ],
) -> None:
    """Print the JSON Schema of a command's spec, for editors."""
    from pareta_cli.spec_schema import schema_of

    with report_bad_input():
        typer.echo(json.dumps(schema_of(kind_of(command_named(command, "schema"))), indent=2, ensure_ascii=False))
