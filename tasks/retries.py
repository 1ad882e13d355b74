"""Retry policy of tasks, by verdict: delays that outlast a short outage, and no retry without credit or key."""

from typing import TYPE_CHECKING, Any

from pareta_batch import RowsUnanswered
from pareta_client import ParetaError, Verdict, verdict_of
from tasks.direct import Retries

if TYPE_CHECKING:
    from prefect import Task
    from prefect.client.schemas.objects import State, TaskRun

RETRIED = frozenset({Verdict.TRANSIENT, Verdict.RATE_LIMIT, Verdict.NOT_READY, Verdict.STILL_RUNNING})


# A plain function on purpose: Prefect silently never retries when it is given a
# functools.partial, a bound method or a callable object.
def worth_retrying(task: "Task[..., Any] | None", task_run: "TaskRun | None", state: "State[Any]") -> bool:
    """Return whether a retry of the task can succeed, by the verdict of its error."""
    match state.data:
        case RowsUnanswered():
            return True
        case ParetaError() as error:
            return verdict_of(error) in RETRIED
        case _:
            return False


RETRIES = Retries(
    retries=3, retry_delay_seconds=[30, 60, 120], retry_jitter_factor=0.3, retry_condition_fn=worth_retrying
)
