"""Fields of a batch that say which processes send its rows: `processes`, `runner`, `cluster`."""

from typing import Annotated, Literal

from pydantic import Field

MAX_PROCESSES = 512
"""Processes of one batch. Raising it allows more connections to the ledger: each process needs about three."""

Runner = Literal["local", "pool", "ray", "dask"]
CLUSTERED: tuple[Runner, ...] = ("ray", "dask")
"""Runners that start their processes on a cluster."""

Processes = Annotated[
    int,
    Field(
        ge=1,
        le=MAX_PROCESSES,
        title="Processes",
        description="Processes that send the rows together, within one max_in_flight and one budget; more than 1 "
        "needs a ledger on PostgreSQL",
    ),
]
RunnerField = Annotated[
    Runner,
    Field(
        title="Runner",
        description="Where the processes run: on this machine, as runs of a Prefect work pool, on Ray, or on Dask",
    ),
]
Cluster = Annotated[
    str | None,
    Field(
        min_length=1,
        title="Cluster",
        description="Address of the Ray or Dask cluster, as in ray://head:10001 or tcp://scheduler:8786; without one, "
        "a cluster on this machine",
    ),
]


def check_processes(processes: int, runner: Runner, cluster: str | None, max_in_flight: int) -> None:
    """Raise ValueError if the fields contradict one another."""
    if cluster is not None and runner not in CLUSTERED:
        raise ValueError(f"cluster {cluster!r} needs runner: ray or runner: dask; set one of them, or leave it out")
    if processes > max_in_flight:
        raise ValueError(
            f"processes {processes} is more than max_in_flight {max_in_flight}: each process needs a call of its own; "
            "lower processes, or raise max_in_flight"
        )
