"""Commands on a batch in the ledger: its status, control of its running run, and its answers file."""

import json
from contextlib import closing
from dataclasses import asdict
from typing import Annotated

import typer

from pareta_cli.environment import prepare_prefect
from pareta_cli.options import (
    AsJson,
    BatchName,
    Overrides,
    SpecFile,
    announce,
    bad_input,
    batch_names,
    report_bad_input,
)


def status(
    name: Annotated[
        str | None,
        typer.Argument(metavar="BATCH", help="Name of a batch; by default all batches.", autocompletion=batch_names),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the status of batches in the ledger, and the progress of their running runs."""
    from pareta_cli.batch_status import batch_statuses

    with report_bad_input():
        statuses = batch_statuses(name)
        as_text = json.dumps([asdict(each) for each in statuses], indent=2, default=float)  # prices are fractions
        typer.echo(as_text if as_json else "\n".join(map(str, statuses)))


def pause(name: BatchName, as_json: AsJson = False) -> None:
    """Pause the running run of a batch; calls in flight finish."""
    _request(name, as_json, "paused; calls in flight finish", paused=True)


def resume(name: BatchName, as_json: AsJson = False) -> None:
    """Resume a paused run, or a run that a Prefect server suspended for lack of credit."""
    announce(f"resuming {name}")
    with report_bad_input():
        paused = _is_paused(name)
    if paused:  # at once: the import of Prefect takes seconds
        _request(name, as_json, "resumed", paused=False)
        return
    prepare_prefect()
    from flows.suspension import resume_suspended
    from tasks import NEEDS_API, uses_prefect

    with report_bad_input():
        resumed = resume_suspended(name)
    if not resumed:
        try:
            _request(name, as_json, "resumed", paused=False)
        except typer.Exit:
            if not uses_prefect():
                typer.echo(f"a run that a Prefect server suspended: {NEEDS_API}", err=True)
            raise
        return
    typer.echo(json.dumps({"batch": name, "resumed": resumed}) if as_json else f"{name}: resumed {', '.join(resumed)}")


def set_(
    name: BatchName,
    request: Annotated[str, typer.Argument(metavar="max_in_flight=N", help="New maximum of calls in flight.")],
    as_json: AsJson = False,
) -> None:
    """Change the maximum calls in flight of a running run, up to its initial maximum."""
    key, _, value = request.partition("=")
    if key != "max_in_flight" or not value.isdecimal() or len(value) > 4 or int(value) < 1:
        raise bad_input(
            f"setting {request!r:.80}: not supported; write max_in_flight=N, with N at least 1 and at most 9999"
        )
    _request(name, as_json, f"max_in_flight {int(value)}", max_in_flight=int(value))


def export(spec: SpecFile, overrides: Overrides = None) -> None:
    """Write the answers of a batch again, from its dataset and the ledger; nothing is sent."""
    from pareta_batch import Batch, Ledger, write_output
    from pareta_cli.batch_status import status_of
    from pareta_cli.specs import read_spec

    with report_bad_input(), closing(Ledger.open()) as ledger:
        batch = read_spec(Batch, spec, overrides or ())
        typer.echo(write_output(batch, ledger))
        typer.echo(status_of(ledger, batch.name), err=True)  # the output may be incomplete


def _is_paused(name: str) -> bool:
    from pareta_batch import Controls, Ledger

    with closing(Ledger.open()) as ledger:
        running = Controls(ledger, name).live()
        return running is not None and bool(running["paused"])


def _request(name: str, as_json: bool, effect: str, **changes: bool | int) -> None:
    from pareta_batch import BatchUnknown, Controls, Ledger

    with report_bad_input(), closing(Ledger.open()) as ledger:
        controls = Controls(ledger, name)
        if controls.live() is None and name not in (known := ledger.batches()):
            raise BatchUnknown(name, known)
        controls.request(**changes)
        typer.echo(json.dumps(controls.live(), indent=2) if as_json else f"{name}: {effect}")
