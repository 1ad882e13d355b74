"""Commands that read a spec and run no flow: its quote, its checks, its schema."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pareta_cli.checks import print_checks
from pareta_cli.options import AsJson, Overrides, SpecFile, Yes, announce, report_bad_input
from pareta_cli.spec_kinds import OTHER_NAMES, Command, command_named, kind_of

if TYPE_CHECKING:
    from pydantic import BaseModel

QUOTED = tuple(command for command in Command if command is not Command.DEPLOY)
"""Commands with a quote: a deployed endpoint has no cost until it answers."""

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
    with report_bad_input():
        found = _quoted_spec(spec, overrides or (), command)
        announce(f"quoting {spec}")
        from pareta_cli.approval import with_approval
        from pareta_cli.quote import make_quote

        quote = with_approval(lambda approved: make_quote(found, pilot, approved=approved), approved=yes)
    typer.echo(quote.model_dump_json(indent=2) if as_json else str(quote))


def _quoted_spec(path: Path, overrides: Sequence[str], command: str | None) -> "BaseModel":
    """Read a spec that has a quote. Raises SpecError."""
    from pareta_cli.specs import SpecError, read_any_spec

    if command is not None and command not in QUOTED:
        raise SpecError(f"--for {command!r}: unknown command; choose one of {', '.join(QUOTED)}")
    found, spec = read_any_spec(path, overrides, command)
    if found not in QUOTED:
        raise SpecError(f"{path}: spec of {found}, which has no quote; name the spec of {', '.join(QUOTED)}")
    return spec


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
