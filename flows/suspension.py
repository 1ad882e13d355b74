"""Policy for an empty balance: end the run, or suspend it until it is resumed after a top-up."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Literal
from uuid import uuid4

from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.responses import SetStateStatus
from prefect.flow_runs import asuspend_flow_run
from prefect.settings import get_current_settings
from pydantic import Field

from flows.outcomes import IncompleteRun, current_flow_run, explained, out_of_credit
from pareta_client import InsufficientCreditsError
from tasks import NEEDS_API, run_logger, uses_prefect

OnEmptyBalance = Annotated[
    Literal["fail", "suspend"],
    Field(
        title="On empty balance",
        description="`fail` ends the run; `suspend` waits, without a process, until it is resumed after a top-up",
    ),
]


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
    else:
        return
    # A new key each time: Prefect treats a used key as a suspension that is over.
    await asuspend_flow_run(key=uuid4().hex)


def resume_suspended(batch: str) -> list[str]:
    """Resume the suspended runs of a batch on the Prefect server of PREFECT_API_URL; return their names."""
    if get_current_settings().api.url is None:
        # A run is only suspended on a standing server.
        return []
    suspended = FlowRunFilter.model_validate(
        {"tags": {"all_": [f"batch:{batch}"]}, "state": {"name": {"any_": ["Suspended"]}}}
    )
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(flow_run_filter=suspended)
        return [run.name for run in runs if client.resume_flow_run(run.id).status is SetStateStatus.ACCEPT]
