"""Waits for something at the service to end: polls with backoff, jitter and a deadline."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from pareta_client.core.steps import Happened, Operation, Send, read_clock, sleep
from pareta_client.errors import ParetaError, WaitTimeoutError
from pareta_client.retry import Verdict, retry_after_of, verdict_of

_TEMPORARY = (Verdict.TRANSIENT, Verdict.RATE_LIMIT, Verdict.NOT_READY)


class HasStatus(Protocol):
    """A record of the service with a status."""

    @property
    def status(self) -> str | None:
        """The status as the service reports it."""
        ...


R = TypeVar("R", bound=HasStatus)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PollTiming:
    """Pauses and timeout of a wait, in seconds.

    The pauses grow from `first` by the factor `growth` to `longest`; raising any of them polls less, and notices the
    end later. `jitter` is the largest fraction by which a pause is shortened; raising it spreads concurrent waits.
    """

    timeout: float
    longest: float
    first: float
    growth: float
    jitter: float = 0.2

    def __post_init__(self) -> None:
        # Not `<`, which accepts NaN.
        if not self.longest >= 0:
            raise ValueError(f"poll_interval must be seconds, 0 or more, not {self.longest!r}")
        if not self.timeout >= 0:
            raise ValueError(f"timeout must be seconds, 0 or more, not {self.timeout!r}")

    def pauses(self, random: Callable[[], float]) -> Iterator[float]:
        """Yield the pauses in seconds, without end; `random` returns 0 to 1."""
        pause = self.first
        while True:
            yield min(pause, self.longest) * (1 - self.jitter * random())
            pause = min(pause * self.growth, self.longest)


def poll(
    read: Callable[[], Operation[R]],
    has_ended: Callable[[R], bool],
    timing: PollTiming,
    random: Callable[[], float],
    overdue: Callable[[float, str | None], WaitTimeoutError],
) -> Operation[R]:
    """Read a record until it has ended, also after temporary errors; the last read is at the deadline.

    Args:
        read: reads the record once.
        has_ended: checks a record; an error that it raises ends the wait.
        timing: pauses and timeout.
        random: returns 0 to 1, for the jitter.
        overdue: returns the error of a wait that ran out, from the seconds waited and the last status.
    """
    started = yield from read_clock()
    status: str | None = None
    error: ParetaError | None = None
    for pause in timing.pauses(random):
        try:
            found = yield from _as_poll(read())
        except ParetaError as problem:
            error = if_transient(problem)
            pause = max(pause, retry_after_of(error) or 0.0)
        else:
            status = found.status
            if has_ended(found):
                return found
        waited = (yield from read_clock()) - started
        if waited >= timing.timeout:
            raise overdue(waited, status) from error
        yield from sleep(min(pause, timing.timeout - waited), None)
    raise AssertionError("the pauses have no end")


def _as_poll(operation: Operation[T]) -> Operation[T]:
    """Perform an operation with its requests marked as polls."""
    happened: Happened = None
    try:
        while True:
            step = operation.send(happened)
            happened = yield replace(step, is_poll=True) if isinstance(step, Send) else step
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        operation.close()


def if_transient(error: ParetaError) -> ParetaError:
    """Return a temporary error, after which polling continues; raise any other error."""
    if verdict_of(error) in _TEMPORARY:
        return error
    raise error
