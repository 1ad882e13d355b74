from .open_sessions import OpenSessions
from .planning import register_rows
from .policy import RETRY_POLICY, TIMING, RetryPolicy, Timing
from .progress import Progress, Snapshot
from .session import Session, open_session
from .worker_pool import fan_out

__all__ = [
    "RETRY_POLICY",
    "TIMING",
    "OpenSessions",
    "Progress",
    "RetryPolicy",
    "Session",
    "Snapshot",
    "Timing",
    "fan_out",
    "open_session",
    "register_rows",
]
