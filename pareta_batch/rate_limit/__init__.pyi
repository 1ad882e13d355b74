from .gate import AdmissionGate
from .limiter import Call, Limits, RateLimiter

__all__ = [
    "AdmissionGate",
    "Call",
    "Limits",
    "RateLimiter",
]
