from .planning import register_rows
from .session import Session, open_session
from .worker_pool import fan_out

__all__ = [
    "Session",
    "fan_out",
    "open_session",
    "register_rows",
]
