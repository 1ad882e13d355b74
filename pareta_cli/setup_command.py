"""Command that sets up a Prefect server."""

from pathlib import Path
from typing import Annotated

import typer

from pareta_cli.environment import prepare_prefect
from pareta_cli.options import PoolType, announce, bad_input

Limits = Annotated[
    list[str] | None,
    typer.Option(
        "--limit",
        metavar="[CREDENTIALS/]MODEL=SLOTS",
        help="Maximum calls in flight to an endpoint, over all runs of an account.",
    ),
]
Repository = Annotated[str | None, typer.Option(help="Git URL that workers clone; by default none.")]
Branch = Annotated[str | None, typer.Option(help="Branch of the repository.")]
Names = Annotated[
    list[str] | None, typer.Option("--name", "-n", help="Only this deployment; can be repeated. By default all.")
]
File = Annotated[Path, typer.Option(help="File of the deployments; their runs work in its folder.")]
Reset = Annotated[
    bool, typer.Option("--reset", help="Make the server as prefect.yaml, also what a person changed there.")
]
Notify = Annotated[str | None, typer.Option(metavar="TYPE/NAME", help="Notification block, as in slack/ops.")]
PoolTypes = Annotated[PoolType, typer.Option(help="Where flow runs are executed.")]
PoolName = Annotated[
    str | None, typer.Option("--pool", help="Name of the work pool; by default pareta, or pareta-TYPE for containers.")
]
Image = Annotated[str, typer.Option(help="Image of the containers, from the Dockerfile.")]
Volume = Annotated[
    str | None,
    typer.Option(help="Docker volume or Kubernetes volume claim, mounted at /data; by default none."),
]


def set_up(
    limits: Limits = None,
    repository: Repository = None,
    branch: Branch = None,
    names: Names = None,
    file: File = Path("prefect.yaml"),
    reset: Reset = False,
    pool_type: PoolTypes = PoolType.PROCESS,
    pool: PoolName = None,
    image: Image = "pareta-worker",
    volume: Volume = None,
    notify: Notify = None,
) -> None:
    """Create or update work pool, block type, limits and deployments on the Prefect server of PREFECT_API_URL.

    Schedules, automations, parameters, limits and templates of work pools that a person changed are kept and printed.
    """
    announce("setting up the Prefect server")
    prepare_prefect()
    from pareta_cli.server_setup import SetUp, SetUpError, pool_of, read_limits, set_up

    try:
        wanted_pool = pool_of(pool_type, pool, image, volume)
        sizes, chosen = read_limits(limits or ()), tuple(names or ())
        wanted = SetUp(sizes, repository, branch, chosen, reset, file, wanted_pool, notify)
        notes = set_up(wanted, typer.echo)
    except SetUpError as error:
        raise bad_input(error) from None
    for note in notes:
        typer.echo(f"note: {note}", err=True)
    of_type = f" --type {pool_type.value}" if wanted_pool.in_containers else ""
    typer.echo(f"server set up; start a worker with: prefect worker start --pool {wanted_pool.name}{of_type}")
