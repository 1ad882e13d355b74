"""Last states of runs: those of Prefect, or stand-ins in a process without it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from .without_prefect import is_left_out

if TYPE_CHECKING:
    from prefect import State


@dataclass(frozen=True)
class Ending:
    """The attributes of Prefect's `State` that a run without Prefect needs."""

    name: str
    message: str | None
    data: Any

    async def aresult(self) -> Any:
        """Return the result of the run, or raise its error."""
        if isinstance(self.data, Exception):
            raise self.data
        return self.data


def completed_state(data: object = None, *, name: str = "Completed", message: str | None = None) -> "State[Any]":
    """Return the state of a run that is done."""
    if is_left_out():
        return cast("State[Any]", Ending(name, message, data))
    from prefect.states import Completed

    return Completed(name=name, message=message, data=data)


def failed_state(error: Exception, *, name: str = "Failed", message: str | None = None) -> "State[Any]":
    """Return the state of a run that an error ended."""
    if is_left_out():
        return cast("State[Any]", Ending(name, message, error))
    from prefect.states import Failed

    return Failed(name=name, message=message, data=error)


def is_state(result: object) -> bool:
    """Return whether a result is the last state of a run."""
    if is_left_out():
        return isinstance(result, Ending)
    from prefect import State

    return isinstance(result, State)
