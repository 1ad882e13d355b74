"""Options shared by the commands of `pareta-pipeline`, and the report of bad input."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pareta_cli.debugging import print_error, print_traceback

SPEC_ENDINGS = (".yaml", ".yml", ".json")
DATASET_ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet", ".xlsx", ".gz", ".zst")


def files_with(endings: Sequence[str]) -> Callable[[str], list[str]]:
    """Return a function that completes the path of a file with one of these endings; folders end in a slash."""

    def completions(incomplete: str) -> list[str]:
        folder, slash, begun = incomplete.rpartition("/")
        found = []
        with suppress(OSError):
            for path in sorted(Path(f"{folder}{slash}" or ".").iterdir()):
                hidden = path.name.startswith(".") and not begun.startswith(".")
                if path.name.startswith(begun) and not hidden and (path.is_dir() or path.suffix in endings):
                    found.append(f"{folder}{slash}{path.name}{'/' if path.is_dir() else ''}")
        return found

    return completions


def batch_names(incomplete: str) -> list[str]:
    """Return the batches of the ledger whose names begin with a text; a ledger that cannot be read has none."""
    from pareta_batch import BatchError, Ledger, ledger_exists

    with suppress(BatchError):
        if ledger_exists():
            with closing(Ledger.open()) as ledger:
                return [name for name in ledger.batches() if name.startswith(incomplete)]
    return []


SpecFile = Annotated[
    Path,
    typer.Argument(
        metavar="SPEC", help="YAML or JSON file with the parameters.", autocompletion=files_with(SPEC_ENDINGS)
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override one field; a nested field as sampling.temperature=0."),
]
BatchName = Annotated[str, typer.Argument(metavar="BATCH", help="Name of a batch.", autocompletion=batch_names)]
AsJson = Annotated[bool, typer.Option("--json", help="Print only the report, as JSON, on standard output.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Approve a quote above approve_above_usd.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show Prefect's log.")]


class PoolType(StrEnum):
    """A type of work pool."""

    PROCESS = "process"
    DOCKER = "docker"
    KUBERNETES = "kubernetes"


@contextmanager
def report_bad_input() -> Iterator[None]:
    """Exit with status 2 or 3 and one message, instead of a traceback, if spec, ledger or key are invalid."""
    from pareta_batch import BatchError, BatchStopped
    from pareta_cli.specs import SpecError
    from pareta_client import ParetaError

    try:
        yield
    except asyncio.CancelledError:
        raise bad_input("command cancelled before its end; run it again", status=3) from None
    except BatchStopped as stopped:
        raise bad_input(stopped, status=3) from None
    except (SpecError, BatchError, ParetaError) as error:
        raise bad_input(error) from None


def announce(work: str) -> None:
    """Print what a command begins, before imports or calls that take longer than half a second."""
    typer.echo(f"{work} …", err=True)


def bad_input(problem: object, status: int = 2) -> typer.Exit:
    """Print the problem and return the exit to raise."""
    print_error(str(problem))
    if isinstance(problem, BaseException):
        print_traceback(problem)
    return typer.Exit(status)
