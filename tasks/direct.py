"""Tasks that are Prefect task runs, or plain calls with the same retries if no Prefect API is configured.

Reason: docs/decisions/runs-without-a-server.md.
"""

import logging
from asyncio import sleep
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, ParamSpec, TypedDict, TypeVar, Unpack, cast

# Relative: in a process of other software, another package may be named `tasks`.
from .states import failed_state
from .without_prefect import is_left_out

if TYPE_CHECKING:
    from prefect import Task
    from prefect.client.schemas.objects import FlowRun

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


def api_url() -> str | None:
    """Return the address of the configured Prefect API; None without one."""
    if is_left_out():
        return None
    from prefect.settings import get_current_settings

    return get_current_settings().api.url


def uses_prefect() -> bool:
    """Return whether runs are recorded by Prefect: inside a run of it, or with an API in the environment or profile."""
    return _in_run() or api_url() is not None


def run_logger() -> "logging.Logger | logging.LoggerAdapter[Any]":
    """Return the logger of the current run, or Prefect's console logger outside a run."""
    if is_left_out():
        return logging.getLogger("prefect.pareta")
    from prefect.logging import get_logger, get_run_logger

    return get_run_logger() if _in_run() else get_logger("pareta")


async def call_with_retries(
    name: str,
    call: Callable[[], Awaitable[Result]],
    policy: Retries,
    can_retry: Callable[[Exception], Awaitable[bool]],
) -> Result:
    """Return the result of a call that is repeated by the retry policy of a task of this name."""
    retries = policy.get("retries", 0)
    retry = 0
    while True:
        try:
            return await call()
        except Exception as error:
            if retry >= retries or not await can_retry(error):
                raise
            delay = _delay_s(policy, retry)
            retry += 1
            run_logger().info("%s: %r; retry %d of %d in %.0f s", name, error, retry, retries, delay)
        await sleep(delay)


def _delay_s(policy: Retries, retry: int) -> float:
    """Return the seconds before a retry, counted from 0, as Prefect's task engine computes them."""
    # Only now: most tasks need no retry.
    from prefect.utilities.math import clamped_poisson_interval

    delays = policy.get("retry_delay_seconds") or [0.0]
    delay, jitter = delays[min(retry, len(delays) - 1)], policy.get("retry_jitter_factor")
    return clamped_poisson_interval(delay, clamping_factor=jitter) if jitter and delay > 0 else delay


def task(
    *, task_run_name: str, **retries: Unpack[Retries]
) -> "Callable[[Callable[Parameters, Coroutine[Any, Any, Result]]], Task[Parameters, Coroutine[Any, Any, Result]]]":
    """Return a decorator for the tasks of this project; no result is cached, because the ledger has the answers."""

    def decorated(
        function: Callable[Parameters, Coroutine[Any, Any, Result]],
    ) -> "Task[Parameters, Coroutine[Any, Any, Result]]":
        if is_left_out():
            # The tasks of this project are only called.
            return cast("Task[Parameters, Coroutine[Any, Any, Result]]", _plain(function, retries))
        from .prefect_tasks import NO_CACHE, DirectTask

        return DirectTask(function, task_run_name=task_run_name, cache_policy=NO_CACHE, **retries)

    return decorated


def _plain(
    function: Callable[Parameters, Coroutine[Any, Any, Result]], retries: Retries
) -> Callable[Parameters, Coroutine[Any, Any, Result]]:
    condition = retries.get("retry_condition_fn")

    async def can_retry(error: Exception) -> bool:
        return condition is None or bool(await awaited(condition(None, None, failed_state(error))))

    @wraps(function)
    async def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        return await call_with_retries(function.__name__, lambda: function(*args, **kwargs), retries, can_retry)

    return call


async def awaited(result: Any) -> Any:  # of a function that may be async
    """Return a result, awaited if it is awaitable."""
    return await result if isawaitable(result) else result


def current_flow_run() -> "FlowRun | None":
    """Return the flow run that calls this function, or None outside a flow run."""
    if is_left_out():
        return None
    from prefect.context import FlowRunContext

    context = FlowRunContext.get()
    return context.flow_run if context else None


def _in_run() -> bool:
    if is_left_out():
        return False
    from prefect.context import FlowRunContext, TaskRunContext

    return FlowRunContext.get() is not None or TaskRunContext.get() is not None
