"""What polling has in common."""

from pareta_client.errors import ParetaError
from pareta_client.retry import Verdict, verdict_of

_PASSING = (Verdict.TRANSIENT, Verdict.RATE_LIMIT, Verdict.NOT_READY)


def if_transient(error: ParetaError) -> ParetaError:
    """Give back an error that may pass while what is waited for goes on; raise any other."""
    if verdict_of(error) in _PASSING:
        return error
    raise error
