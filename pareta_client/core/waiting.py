"""Error handling of polling."""

from pareta_client.errors import ParetaError
from pareta_client.retry import Verdict, verdict_of

_TEMPORARY = (Verdict.TRANSIENT, Verdict.RATE_LIMIT, Verdict.NOT_READY)


def if_transient(error: ParetaError) -> ParetaError:
    """Return a temporary error, after which polling continues; raise any other error."""
    if verdict_of(error) in _TEMPORARY:
        return error
    raise error
