"""Tasks that are Prefect task runs, or plain calls with the same retries if no Prefect API is configured.

Reason: docs/decisions/runs-without-a-server.md.
"""

import inspect
from asyncio import sleep
from collections.abc import Callable, Coroutine
from logging import Logger, LoggerAdapter
from typing import Any, ParamSpec, TypedDict, TypeVar, Unpack

from prefect import Task, get_run_logger
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import FlowRun, TaskRun
from prefect.context import FlowRunContext, TaskRunContext
from prefect.logging import get_logger
from prefect.settings import get_current_settings
from prefect.states import Failed
from prefect.utilities.math import clamped_poisson_interval

NEEDS_API = "this needs a Prefect API; start one with `pareta-pipeline server`, or set PREFECT_API_URL"
"""Next step for whatever only a Prefect server does."""

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class Retries(TypedDict, total=False):
    """Retry arguments of the `task` decorator."""

    retries: int
    retry_delay_seconds: list[float]
    retry_jitter_factor: float
    retry_condition_fn: Any  # Prefect's own type names a private class


def uses_prefect() -> bool:
    """Return whether runs are recorded by Prefect: inside a run of it, or with an API in the environment or profile."""
    return _in_run() or get_current_settings().api.url is not None


def run_logger() -> "Logger | LoggerAdapter[Any]":
    """Return the logger of the current run, or Prefect's console logger outside a run."""
    return get_run_logger() if _in_run() else get_logger("pareta")


class DirectTask(Task[Parameters, Coroutine[Any, Any, Result]]):
    """Prefect task that calls its function directly, with its own retry policy, where Prefect is not used."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # Prefect's overloads type the callers
        """Run the task, as a task run if Prefect is used."""
        return super().__call__(*args, **kwargs) if uses_prefect() else self._run_directly(*args, **kwargs)

    async def _run_directly(self, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        retry = 0
        while True:
            try:
                return await self.fn(*args, **kwargs)
            except Exception as error:
                if retry >= self.retries or not await self._can_retry(error):
                    raise
                delay = self._delay_s(retry)
                retry += 1
                run_logger().info("%s: %r; retry %d of %d in %.0f s", self.name, error, retry, self.retries, delay)
            await sleep(delay)

    async def _can_retry(self, error: Exception) -> bool:
        if self.retry_condition_fn is None:
            return True
        attempt = TaskRun(task_key=self.task_key, dynamic_key="direct")
        verdict = self.retry_condition_fn(self, attempt, Failed(data=error, message=repr(error)))
        return await verdict if inspect.isawaitable(verdict) else verdict

    def _delay_s(self, retry: int) -> float:
        """Return the seconds before a retry, counted from 0, as Prefect's task engine computes them."""
        delays = self.retry_delay_seconds or 0.0
        delay = delays[min(retry, len(delays) - 1)] if isinstance(delays, list) else delays
        jitter = self.retry_jitter_factor
        return clamped_poisson_interval(delay, clamping_factor=jitter) if jitter and delay > 0 else delay


def task(
    *, task_run_name: str, **retries: Unpack[Retries]
) -> Callable[[Callable[Parameters, Coroutine[Any, Any, Result]]], Task[Parameters, Coroutine[Any, Any, Result]]]:
    """Return a decorator for the tasks of this project; no result is cached, because the ledger has the answers."""

    def decorated(
        function: Callable[Parameters, Coroutine[Any, Any, Result]],
    ) -> Task[Parameters, Coroutine[Any, Any, Result]]:
        return DirectTask(function, task_run_name=task_run_name, cache_policy=NO_CACHE, **retries)

    return decorated


def current_flow_run() -> FlowRun | None:
    """Return the flow run that calls this function, or None outside a flow run."""
    context = FlowRunContext.get()
    return context.flow_run if context else None


def _in_run() -> bool:
    return FlowRunContext.get() is not None or TaskRunContext.get() is not None
