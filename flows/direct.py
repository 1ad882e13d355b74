"""Flows that are Prefect flow runs, or plain calls with the same outcome if no Prefect API is configured.

Reason: docs/decisions/runs-without-a-server.md.
"""

from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from tasks import completed_state, failed_state, is_left_out, is_state, run_logger

if TYPE_CHECKING:
    from prefect import Flow

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_direct_flow: ContextVar[str] = ContextVar("direct_flow", default="")


async def run_directly(name: str, run: Callable[[], Awaitable[Any]], *, return_state: bool) -> Any:
    """Return the unwrapped result of a flow of this name, or its last state."""
    token = _direct_flow.set(name)
    try:
        result = await run()
    except Exception as error:
        run_logger().exception("%s ended with an error", name)
        if not return_state:
            raise
        return failed_state(error, message=f"{type(error).__name__}: {error}")
    finally:
        _direct_flow.reset(token)
    if is_state(result):
        return result if return_state else await result.aresult()
    return completed_state(result) if return_state else result


def flow(
    *, name: str, flow_run_name: str
) -> "Callable[[Callable[Parameters, Coroutine[Any, Any, Result]]], Flow[Parameters, Coroutine[Any, Any, Result]]]":
    """Return a decorator for the flows of this project."""

    def decorated(
        function: Callable[Parameters, Coroutine[Any, Any, Result]],
    ) -> "Flow[Parameters, Coroutine[Any, Any, Result]]":
        if is_left_out():
            # A command only calls its flow, and the flow its subflows.
            return cast("Flow[Parameters, Coroutine[Any, Any, Result]]", _plain(name, function))
        from flows.prefect_flows import DirectFlow

        return DirectFlow(function, name=name, flow_run_name=flow_run_name)

    return decorated


def _plain(name: str, function: Callable[..., Awaitable[Any]]) -> Callable[..., Coroutine[Any, Any, Any]]:
    @wraps(function)
    def call(*args: Any, return_state: bool = False, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        return run_directly(name, lambda: function(*args, **kwargs), return_state=return_state)

    return call


def current_flow_name() -> str:
    """Return the name of the flow that calls this function, or an empty text outside a flow."""
    if is_left_out():
        return _direct_flow.get()
    from prefect.context import FlowRunContext

    context = FlowRunContext.get()
    return context.flow.name if context and context.flow else _direct_flow.get()
