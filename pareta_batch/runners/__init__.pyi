from .checks import check_runner
from .job import ClientFactory, KeyClient, MemberJob, MemberOutcome, check_outcomes
from .local import run_local

__all__ = ["ClientFactory", "KeyClient", "MemberJob", "MemberOutcome", "check_outcomes", "check_runner", "run_local"]
