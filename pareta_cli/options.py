"""What several commands of `pareta-pipeline` take, and how they say that it is no good."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

SpecFile = Annotated[Path, typer.Argument(metavar="SPEC", help="YAML or JSON file with the flow's parameters")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override one field, a nested one as sampling.temperature=0"),
]
BatchName = Annotated[str, typer.Argument(metavar="BATCH", help="A batch's name")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the report alone, as JSON, on standard output")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show Prefect's log")]


@contextmanager
def bad_input_explained() -> Iterator[None]:
    """Print what is wrong with a spec, the ledger or the key instead of a traceback, and exit with its status."""
    from pareta_batch import BatchError, BatchStopped
    from pareta_cli.specs import SpecError
    from pareta_client import ParetaError

    try:
        yield
    except asyncio.CancelledError:
        raise bad_input("cancelled before it was done", status=3) from None
    except BatchStopped as stopped:
        raise bad_input(stopped, status=3) from None
    except (SpecError, BatchError, ParetaError) as error:
        raise bad_input(error) from None


def bad_input(problem: object, status: int = 2) -> typer.Exit:
    """Print what is wrong; give the exit to raise."""
    typer.echo(str(problem), err=True)
    return typer.Exit(status)
