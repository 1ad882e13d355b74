from .planning import register_rows
from .policy import RETRY_POLICY, TIMING, RetryPolicy, Timing
from .progress import Progress
from .session import Session, open_session
from .worker_pool import fan_out

__all__ = [
    "RETRY_POLICY",
    "TIMING",
    "Progress",
    "RetryPolicy",
    "Session",
    "Timing",
    "fan_out",
    "open_session",
    "register_rows",
]
