"""The command `schedule`: a spec as a deployment with a timetable, without a change to files of this project."""

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from pareta_cli.environment import prepare_prefect
from pareta_cli.options import SPEC_ENDINGS, AsJson, Overrides, announce, bad_input, files_with, report_bad_input
from pareta_cli.spec_commands import ForCommand

Spec = Annotated[
    Path | None,
    typer.Argument(
        metavar="SPEC", help="YAML or JSON file with the parameters.", autocompletion=files_with(SPEC_ENDINGS)
    ),
]
Cron = Annotated[str | None, typer.Option(metavar="CRON", help="Times of the runs, as '0 6 * * 1-5'.")]
Timezone = Annotated[str, typer.Option(help="Time zone of the times, as Europe/Berlin.")]
Paused = Annotated[bool, typer.Option("--paused", help="Start no run until the deployment is resumed.")]
Listing = Annotated[bool, typer.Option("--list", help="Print the schedules of own specs.")]
Remove = Annotated[bool, typer.Option("--remove", help="Delete the deployment of the spec; its runs stay.")]
Reset = Annotated[bool, typer.Option("--reset", help="Undo what a person changed on the server.")]
WorkPool = Annotated[
    str | None,
    typer.Option("--pool", help="Work pool of the runs; by default that of the deployment, for a new one pareta."),
]
Queue = Annotated[str | None, typer.Option(help="Queue of the work pool.")]


def schedule(
    spec: Spec = None,
    cron: Cron = None,
    timezone: Timezone = "Etc/UTC",
    paused: Paused = False,
    list_: Listing = False,
    remove: Remove = False,
    reset: Reset = False,
    pool: WorkPool = None,
    queue: Queue = None,
    command: ForCommand = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Make or update the deployment of a spec, which runs at the times of a cron expression."""
    _check_options(spec, cron, list_=list_, remove=remove, placed=(pool, queue) != (None, None))
    announce("reading the schedules" if spec is None else f"reading {spec}")
    prepare_prefect()
    from pareta_cli.schedules import Place, Timetable, deployment_of, list_schedules, remove_schedule, write_schedule
    from pareta_cli.server_setup import SetUpError

    try:
        if spec is None:
            _print_schedules(list_schedules(), as_json=as_json)
            return
        with report_bad_input():
            timetable = None if cron is None else Timetable(cron, timezone, paused)
            deployment = deployment_of(spec, overrides or [], command, timetable)
        used_pool = None
        if remove:
            remove_schedule(deployment.full_name)
        else:
            used_pool = write_schedule(deployment, Place(pool, queue), partial(typer.echo, err=True), reset=reset)
    except SetUpError as error:
        raise bad_input(error) from None
    _print_result(deployment.full_name, used_pool, as_json=as_json)


def _check_options(spec: Path | None, cron: str | None, *, list_: bool, remove: bool, placed: bool) -> None:
    if [list_, remove, cron is not None].count(True) != 1:
        raise bad_input("schedule: needs one of --cron, --list and --remove; as in --cron '0 6 * * 1-5'")
    if (spec is None) != list_:
        raise bad_input("schedule: --list takes no SPEC, the other options need one; name the spec file")
    if placed and cron is None:
        raise bad_input("schedule: --pool and --queue need --cron; add the times of the runs")


def _print_result(name: str, pool: str | None, *, as_json: bool) -> None:
    """Print the result; `pool` is the work pool, None for a removed deployment."""
    if as_json:
        typer.echo(json.dumps({"deployment": name, "removed": pool is None}))
    elif pool is None:
        typer.echo(f"{name}: removed")
    else:
        typer.echo(
            f"{name}: runs in {Path.cwd()}; its worker needs this package, that folder, PARETA_API_KEY "
            "or the credentials block, and the PARETA_LEDGER_URL that you use here\n"
            f"start a worker with: prefect worker start --pool {pool}"
        )


def _print_schedules(found: list[dict[str, object]], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for each in found:
        cron = each["cron"]
        times = ", ".join(cron) if isinstance(cron, list) else ""
        state = "paused" if each["paused"] else f"{times} {each['timezone']}"
        typer.echo(f"{each['name']}: {state}; runs in {each['folder']}, work pool {each['work_pool']}")
