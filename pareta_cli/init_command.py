"""`init`: write a commented spec for a dataset; it asks on a terminal, and never otherwise."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from pareta_cli.options import DATASET_ENDINGS, bad_input, files_with, report_bad_input
from pareta_cli.spec_kinds import Command, kind_of

SCHEMAS = Path(".pareta/schemas")
ENDINGS = (".yaml", ".yml")
NO_COLUMN = "none"


def init(
    dataset: Annotated[
        str | None,
        typer.Argument(
            metavar="DATASET",
            help="Dataset: a file, a folder, a glob or a URL.",
            autocompletion=files_with(DATASET_ENDINGS),
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="SPEC", help="Spec to write; by default NAME.yaml.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the batch; by default from the dataset.")] = None,
    id_column: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column that identifies a row; `none` for none.")
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(help="Prompt with {column} in it; without a column, the text column is added.")
    ] = None,
    model: Annotated[str, typer.Option(help="Model: `auto`, or the id of an endpoint.")] = "auto",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing, and use the guesses.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the spec if it exists.")] = False,
) -> None:
    """Write a commented spec for a dataset; nothing is sent."""
    from pareta_cli.first_spec import first_spec

    asks = is_terminal() and not yes
    dataset = _dataset(dataset, asks=asks)
    with report_bad_input():
        spec = first_spec(dataset, name=name, ids=_none(id_column), prompt=prompt, model=model)
        if asks:
            name = name or _ask("name of the batch", spec.name)
            id_column = id_column or _ask(f"id column, or {NO_COLUMN}", spec.id_column or NO_COLUMN)
            prompt = prompt or _ask_prompt(spec.prompt)
            spec = first_spec(dataset, name=name, ids=_none(id_column), prompt=prompt, model=model)
    path = output or Path(f"{spec.name}.yaml")
    _check_path(path, force=force)
    _write(path, spec.text(_write_schema(path)), force=force)
    id_column = f"id column {spec.id_column!r}" if spec.id_column else "no id column"
    _announce(path, f"{spec.rows:,} rows of {dataset}, {id_column}, max_in_flight {spec.max_in_flight}")


def _announce(path: Path, content: str) -> None:
    typer.echo(f"{path}: {content}")
    typer.echo(f"next: read the prompt in {path}, then pareta-pipeline complete {path} --sample 20")


def _dataset(named: str | None, *, asks: bool) -> str:
    """Return the dataset of the command line, or the user's answer."""
    dataset = _ask("dataset (.csv, .jsonl, .parquet, …)") if named is None and asks else named
    if not dataset:
        raise bad_input("dataset: none named; write pareta-pipeline init DATASET")
    return dataset


def _check_path(path: Path, *, force: bool) -> None:
    """Refuse a spec that is no YAML file, or that exists and may not be replaced."""
    if path.suffix not in ENDINGS:
        raise bad_input(f"spec {str(path)!r}: not a YAML file; end its name in {' or '.join(ENDINGS)}")
    if path.exists() and not force:
        raise bad_input(f"spec {str(path)!r}: exists already; add --force to replace it, or choose another --output")


def is_terminal() -> bool:
    """Return whether a user can answer: standard input and standard error are a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _ask(question: str, default: str | None = None) -> str:
    return str(typer.prompt(question, default=default, err=True)).strip()


def _ask_prompt(guess: str) -> str | None:
    typer.echo(f"first prompt:\n  {guess.replace(chr(10), chr(10) + '  ')}", err=True)
    return _ask("another task for the model, in one line (Enter keeps this prompt)", "") or None


def _none(id_column: str | None) -> str | None:
    return "" if id_column == NO_COLUMN else id_column


def _write_schema(spec: Path) -> str | None:
    """Write the schema for editors, and return its path as the spec names it; None if it cannot be written."""
    from pareta_cli.first_spec import schema_reference
    from pareta_cli.spec_schema import schema_of

    path = SCHEMAS / f"{Command.COMPLETE}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(schema_of(kind_of(Command.COMPLETE)), indent=2), encoding="utf-8")
    except OSError:
        return None
    return schema_reference(spec, path)


def _write(path: Path, text: str, *, force: bool) -> None:
    """Check the text as `validate` does, and write it; raise typer.Exit for a fault."""
    from pareta_cli.spec_checks import checks_of_files
    from pareta_cli.spec_reader import read_value
    from pareta_cli.specs import spec_from

    with report_bad_input():
        fields = read_value(text)
        assert isinstance(fields, dict)
        spec = spec_from(kind_of(Command.COMPLETE), path, fields)
    if problems := [check.text for check in checks_of_files(spec) if not check.ok]:
        raise bad_input(problems[0])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w" if force else "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise bad_input(f"spec {str(path)!r}: not writable: {error.strerror}; choose another --output") from None
