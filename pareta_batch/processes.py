"""Fields of a batch that bound its calls in flight, and the processes that send its rows."""

from typing import Literal

from pydantic import Field, model_validator

from pareta_batch.spec_base import Spec

MAX_PROCESSES = 512
"""Processes of one batch. Raising it allows more connections to the ledger: each process needs about three."""

Runner = Literal["local", "pool", "ray", "dask"]
CLUSTERED: tuple[Runner, ...] = ("ray", "dask")
"""Runners that start their processes on a cluster."""


class Processes(Spec):
    """The calls in flight of a batch, and the processes that share them."""

    max_in_flight: int = Field(
        16, ge=1, le=4096, title="Max in flight", description="Maximum number of requests in flight"
    )
    processes: int = Field(
        1,
        ge=1,
        le=MAX_PROCESSES,
        title="Processes",
        description="Processes that send the rows together, within max_in_flight and the budget; more than 1 needs a "
        "ledger on PostgreSQL",
    )
    runner: Runner = Field(
        "local",
        title="Runner",
        description="Where the processes run: on this machine, as runs of a Prefect work pool, on Ray, or on Dask",
    )
    cluster: str | None = Field(
        None,
        min_length=1,
        title="Cluster",
        description="Address of the Ray or Dask cluster, as in ray://head:10001 or tcp://scheduler:8786; without one, "
        "a cluster on this machine",
    )

    @model_validator(mode="after")
    def processes_fit_the_batch(self) -> "Processes":
        if self.cluster is not None and self.runner not in CLUSTERED:
            raise ValueError(
                f"cluster {self.cluster!r} needs runner: ray or runner: dask; set one of them, or leave it out"
            )
        if self.processes > self.max_in_flight:
            raise ValueError(
                f"processes {self.processes} is more than max_in_flight {self.max_in_flight}: each process needs a "
                "call of its own; lower processes, or raise max_in_flight"
            )
        return self

    @property
    def has_members(self) -> bool:
        """Whether other processes send the rows."""
        return self.processes > 1 or self.runner != "local"
