from .account import Allocation as Allocation
from .account import Usage as Usage
from .account import allocation_of as allocation_of
from .call import Call as Call
from .gate import AdmissionGate as AdmissionGate
from .history import Limits as Limits
from .limiter import RateLimiter as RateLimiter
