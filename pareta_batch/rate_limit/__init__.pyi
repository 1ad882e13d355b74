from .account import Share, Usage, share_of
from .gate import AdmissionGate
from .history import Limits
from .limiter import Call, RateLimiter

__all__ = [
    "AdmissionGate",
    "Call",
    "Limits",
    "RateLimiter",
    "Share",
    "Usage",
    "share_of",
]
