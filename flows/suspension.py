"""Out of credit: end the run, or suspend it until somebody has topped up and resumes it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Literal
from uuid import uuid4

from prefect import get_client, get_run_logger
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.responses import SetStateStatus
from prefect.flow_runs import asuspend_flow_run
from prefect.settings import get_current_settings
from pydantic import Field

from flows.outcomes import IncompleteRun, error_of, explained, flow_run_here
from pareta_client import InsufficientCreditsError

OnEmptyBalance = Annotated[
    Literal["fail", "suspend"],
    Field(
        title="On empty balance",
        description="`fail` ends the run; `suspend` waits, without a process, until it is resumed after a top-up",
    ),
]


@asynccontextmanager
async def suspended_without_credit(wish: OnEmptyBalance) -> AsyncIterator[None]:
    """Suspend this run of a deployment when the body ends for lack of credit and that is the wish.

    Resumed, the flow runs from the top in another process, and sends what the ledger is missing.
    """
    try:
        yield
    except (IncompleteRun, InsufficientCreditsError) as error:
        if wish == "fail" or error_of(error) != "InsufficientCreditsError":
            raise
        run = flow_run_here()
        if run is None or run.deployment_id is None or run.parent_task_run_id is not None:
            # Only a worker can bring a run back in another process.
            get_run_logger().warning("this is no run of a deployment: it ends instead of being suspended")
            raise
        get_run_logger().warning("suspended until it is resumed: %s", explained(error))
    else:
        return
    # A key of its own every time: Prefect takes a used one for a suspension that is over.
    await asuspend_flow_run(key=uuid4().hex)


def resume_suspended(batch: str) -> list[str]:
    """Resume the suspended runs of a batch on the Prefect server of PREFECT_API_URL; give their names."""
    if get_current_settings().api.url is None:
        # Without a server nothing was ever suspended.
        return []
    wanted = FlowRunFilter.model_validate(
        {"tags": {"all_": [f"batch:{batch}"]}, "state": {"name": {"any_": ["Suspended"]}}}
    )
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(flow_run_filter=wanted)
        return [run.name for run in runs if client.resume_flow_run(run.id).status is SetStateStatus.ACCEPT]
