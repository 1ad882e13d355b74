"""Limit of open files of the process: each call in flight needs a connection, which is an open file."""

import logging

try:
    import resource
except ImportError:  # Windows has no such limit
    resource = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

OTHER_FILES = 256
"""Open files besides the connections: ledger, logs, event loops, Prefect. Raising it needs a higher limit."""


def allow_open_files(connections: int, purpose: str) -> bool:
    """Raise the soft limit of open files if it is too low for the connections; return whether it is sufficient."""
    needed = connections + OTHER_FILES
    if resource is None or _raised_to(needed):
        return True
    log.warning(
        "max_in_flight=%d of %s: the process can open too few files; raise the limit with `ulimit -n %d`",
        connections,
        purpose,
        needed,
    )
    return False


def _raised_to(needed: int) -> bool:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return True
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    except (ValueError, OSError):  # above the hard limit
        return False
    return True
