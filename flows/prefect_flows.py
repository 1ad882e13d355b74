"""Prefect flow that is called directly where Prefect is not used."""

from collections.abc import Coroutine
from typing import Any, ParamSpec, TypeVar

from prefect import Flow
from prefect.utilities.callables import get_call_parameters

from flows.cancelled_logs import log_cancelled_tasks_as_information
from flows.deployment_slot import ignore_lost_deployment_slot
from flows.direct import run_directly
from flows.repeated_states import keep_data_of_repeated_states
from tasks import uses_prefect

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

# At import: every flow is made before Prefect's engine runs it.
ignore_lost_deployment_slot()
keep_data_of_repeated_states()
log_cancelled_tasks_as_information()


class DirectFlow(Flow[Parameters, Coroutine[Any, Any, Result]]):
    """Prefect flow that calls its function directly where Prefect is not used."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # Prefect's overloads type the callers
        """Run the flow, as a flow run if Prefect is used."""
        if uses_prefect():
            return super().__call__(*args, **kwargs)
        return_state = kwargs.pop("return_state", False)
        return run_directly(self.name, lambda: self._checked_call(args, kwargs), return_state=return_state)

    async def _checked_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        parameters = self.validate_parameters(get_call_parameters(self.fn, args, kwargs))
        return await self.fn(**parameters)  # type: ignore[call-arg]  # the parameters by name
