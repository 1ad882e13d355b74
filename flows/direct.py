"""Flows that are Prefect flow runs, or plain calls with the same outcome if no Prefect API is configured.

Reason: docs/decisions/runs-without-a-server.md.
"""

from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

from prefect import Flow, State
from prefect.context import FlowRunContext
from prefect.states import Completed, Failed
from prefect.utilities.callables import get_call_parameters

from tasks import run_logger, uses_prefect

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_direct_flow: ContextVar[str] = ContextVar("direct_flow", default="")


class DirectFlow(Flow[Parameters, Coroutine[Any, Any, Result]]):
    """Prefect flow that calls its function directly where Prefect is not used."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # Prefect's overloads type the callers
        """Run the flow, as a flow run if Prefect is used."""
        if uses_prefect():
            return super().__call__(*args, **kwargs)
        return self._run_directly(args, kwargs, return_state=kwargs.pop("return_state", False))

    async def _run_directly(self, args: tuple[Any, ...], kwargs: dict[str, Any], *, return_state: bool) -> Any:
        name = _direct_flow.set(self.name)
        try:
            parameters = self.validate_parameters(get_call_parameters(self.fn, args, kwargs))
            result = await self.fn(**parameters)  # type: ignore[call-arg]  # the parameters by name
        except Exception as error:
            run_logger().exception("%s ended with an error", self.name)
            if not return_state:
                raise
            return Failed(message=f"{type(error).__name__}: {error}", data=error)
        finally:
            _direct_flow.reset(name)
        if isinstance(result, State):
            return result if return_state else await result.aresult()
        return Completed(data=result) if return_state else result


def flow(
    *, name: str, flow_run_name: str
) -> Callable[[Callable[Parameters, Coroutine[Any, Any, Result]]], Flow[Parameters, Coroutine[Any, Any, Result]]]:
    """Return a decorator for the flows of this project."""

    def decorated(
        function: Callable[Parameters, Coroutine[Any, Any, Result]],
    ) -> Flow[Parameters, Coroutine[Any, Any, Result]]:
        return DirectFlow(function, name=name, flow_run_name=flow_run_name)

    return decorated


def current_flow_name() -> str:
    """Return the name of the flow that calls this function, or an empty text outside a flow."""
    context = FlowRunContext.get()
    return context.flow.name if context and context.flow else _direct_flow.get()
