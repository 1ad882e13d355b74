"""Policy for an empty balance: end the run, or suspend it until it is resumed after a top-up."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID, uuid4

from flows.forms import titled
from flows.outcomes import IncompleteRun, explained, out_of_credit, suspension_message
from pareta_batch import BatchError
from pareta_client import InsufficientCreditsError
from tasks import NEEDS_API, api_url, current_flow_run, run_logger, uses_prefect

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

OnEmptyBalance = Annotated[Literal["fail", "suspend"], titled("On empty balance")]


@asynccontextmanager
async def suspend_when_out_of_credit(on_empty_balance: OnEmptyBalance) -> AsyncIterator[None]:
    """Suspend this run of a deployment if the body ends for lack of credit and `on_empty_balance` is `suspend`.

    A resumed flow runs from the top in another process, and sends the rows missing in the ledger.
    """
    try:
        yield
    except (IncompleteRun, InsufficientCreditsError) as error:
        if on_empty_balance == "fail" or not out_of_credit(error):
            raise
        run = current_flow_run()
        if run is None or run.deployment_id is None or run.parent_task_run_id is not None:
            # Only a worker can resume a run in another process.
            reason = "only a run of a deployment can be resumed" if uses_prefect() else NEEDS_API
            run_logger().warning("run ends instead of being suspended: %s", reason)
            raise
        run_logger().warning("suspended until it is resumed: %s", explained(error))
        message = suspension_message(error)
    else:
        return
    from prefect.exceptions import Pause
    from prefect.states import Suspended

    # A new key each time: Prefect treats a used key as a suspension that is over.
    raise Pause(state=await propose_suspension(run.id, Suspended(pause_key=uuid4().hex, message=message)))


async def propose_suspension(run_id: UUID, state: "State[None]") -> "State[None]":
    """Suspend the run in this state; the caller then raises Pause. Prefect's `suspend_flow_run` has no message."""
    from prefect import get_client
    from prefect.utilities.engine import propose_state

    async with get_client() as client:
        accepted: State[None] = await propose_state(client, state, flow_run_id=run_id)
    if not accepted.is_paused():
        raise RuntimeError(f"run not suspended: the server answered with state {accepted.name!r}; run it again")
    return accepted


def resume_suspended(batch: str) -> list[str]:
    """Resume the suspended runs of a batch on the Prefect server of PREFECT_API_URL; return their names.

    Raises BatchError if the server does not answer.
    """
    if (url := api_url()) is None:
        # A run is only suspended on a standing server.
        return []
    import httpx
    from prefect import get_client
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.client.schemas.responses import SetStateStatus
    from prefect.exceptions import PrefectException

    suspended = FlowRunFilter.model_validate(
        {"tags": {"all_": [f"batch:{batch}"]}, "state": {"name": {"any_": ["Suspended"]}}}
    )
    try:
        with get_client(sync_client=True) as client:
            runs = client.read_flow_runs(flow_run_filter=suspended)
            return [run.name for run in runs if client.resume_flow_run(run.id).status is SetStateStatus.ACCEPT]
    except (httpx.HTTPError, PrefectException) as error:
        problem = f"Prefect server {url}: {error or type(error).__name__}"
        raise BatchError(f"{problem}; start it, or unset PREFECT_API_URL to resume a paused run") from error
