"""Prefect task that is called directly where Prefect is not used."""

from collections.abc import Coroutine
from typing import Any, ParamSpec, TypeVar

from prefect import Task
from prefect.cache_policies import NO_CACHE as NO_CACHE
from prefect.client.schemas.objects import TaskRun

from .direct import Retries, awaited, call_with_retries, uses_prefect
from .states import failed_state

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class DirectTask(Task[Parameters, Coroutine[Any, Any, Result]]):
    """Prefect task that calls its function directly, with its own retry policy, where Prefect is not used."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # Prefect's overloads type the callers
        """Run the task, as a task run if Prefect is used."""
        if uses_prefect():
            return super().__call__(*args, **kwargs)
        return call_with_retries(self.name, lambda: self.fn(*args, **kwargs), self._policy(), self._can_retry)

    def _policy(self) -> Retries:
        delays = self.retry_delay_seconds or 0.0
        return Retries(
            retries=self.retries,
            retry_delay_seconds=delays if isinstance(delays, list) else [delays],
            retry_jitter_factor=self.retry_jitter_factor or 0.0,
        )

    async def _can_retry(self, error: Exception) -> bool:
        if self.retry_condition_fn is None:
            return True
        attempt = TaskRun(task_key=self.task_key, dynamic_key="direct")
        return bool(await awaited(self.retry_condition_fn(self, attempt, failed_state(error, message=repr(error)))))
