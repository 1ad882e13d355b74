"""Commands on a batch that stands in the ledger: how far it is, and what a run of it that is under way is to do."""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated

import typer

from pareta_cli.environment import prepare_prefect
from pareta_cli.options import AsJson, BatchName, Overrides, SpecFile, bad_input, bad_input_explained


def status(
    name: Annotated[str | None, typer.Argument(metavar="BATCH", help="A batch's name; all of them if left out")] = None,
    as_json: AsJson = False,
) -> None:
    """Say how batches stand in the ledger, and how far a run of them is that is under way."""
    from pareta_cli.batch_status import batch_statuses

    with bad_input_explained():
        accounts = batch_statuses(name)
        as_text = json.dumps([asdict(each) for each in accounts], indent=2, default=float)  # prices are fractions
        typer.echo(as_text if as_json else "\n".join(map(str, accounts)))


def pause(name: BatchName, as_json: AsJson = False) -> None:
    """Let a run that is under way send nothing until it is resumed; calls in flight finish."""
    _wish(name, as_json, paused=True)


def resume(name: BatchName, as_json: AsJson = False) -> None:
    """Let a paused run go on, or one that a Prefect server has suspended for want of credit."""
    prepare_prefect()
    from flows.suspension import resume_suspended

    if not (resumed := resume_suspended(name)):
        _wish(name, as_json, paused=False)
        return
    typer.echo(json.dumps({"batch": name, "resumed": resumed}) if as_json else f"{name}: resumed {', '.join(resumed)}")


def set_(
    name: BatchName, request: Annotated[str, typer.Argument(metavar="max_in_flight=N")], as_json: AsJson = False
) -> None:
    """Change how many calls a run that is under way may have in flight, up to what it began with."""
    key, _, value = request.partition("=")
    if key != "max_in_flight" or not value.isdecimal() or len(value) > 4 or int(value) < 1:
        raise bad_input(f"{request!r:.80}: write max_in_flight=N, with N at least 1 and at most 9999")
    _wish(name, as_json, max_in_flight=int(value))


def export(spec: SpecFile, overrides: Overrides = None) -> None:
    """Write a batch's answers file anew from its dataset and the ledger; nothing is sent."""
    from pareta_batch import Batch, Ledger, write_answers
    from pareta_cli.specs import read_spec

    with bad_input_explained():
        typer.echo(write_answers(read_spec(Batch, spec, overrides or ()), Ledger.open()))


COMMANDS: dict[str, Callable[..., None]] = {
    "status": status,
    "pause": pause,
    "resume": resume,
    "set": set_,
    "export": export,
}


def _wish(name: str, as_json: bool, **wishes: bool | int) -> None:
    from pareta_batch import Controls, Ledger

    with bad_input_explained():
        controls = Controls(Ledger.open(), name)
        controls.request(**wishes)
        if as_json:
            typer.echo(json.dumps(controls.live(), indent=2))
