from .account import Share as Share
from .account import Usage as Usage
from .account import share_of as share_of
from .gate import AdmissionGate as AdmissionGate
from .history import Limits as Limits
from .limiter import Call as Call
from .limiter import RateLimiter as RateLimiter
