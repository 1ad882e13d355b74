from .checks import check_runner
from .job import ClientFactory, ClusterClient, KeyClient, MemberJob, MemberOutcome, check_outcomes, work
from .on_dask import run_on_dask
from .on_ray import run_on_ray
from .on_this_machine import run_on_this_machine

__all__ = [
    "ClientFactory",
    "ClusterClient",
    "KeyClient",
    "MemberJob",
    "MemberOutcome",
    "check_outcomes",
    "check_runner",
    "run_on_dask",
    "run_on_ray",
    "run_on_this_machine",
    "work",
]
