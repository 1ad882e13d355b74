from .gc_tuning import relaxed_gc
from .open_sessions import OpenSessions, owner_of_sessions
from .planning import register_rows
from .policy import RETRY_POLICY, TIMING, RetryPolicy, Timing
from .progress import Progress, Snapshot
from .session import Session, open_session, start_session
from .session_work import SessionWork, read_work, settle_copies
from .stop import StopSignal
from .worker_pool import fan_out

__all__ = [
    "RETRY_POLICY",
    "TIMING",
    "OpenSessions",
    "Progress",
    "RetryPolicy",
    "Session",
    "SessionWork",
    "Snapshot",
    "StopSignal",
    "Timing",
    "fan_out",
    "open_session",
    "owner_of_sessions",
    "read_work",
    "register_rows",
    "relaxed_gc",
    "settle_copies",
    "start_session",
]
