"""Patch of Prefect: losing the slot of a deployment does not cancel its run.

Reason: docs/decisions/a-run-outlives-its-deployments-slot.md.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from prefect import flow_engine
from prefect.concurrency._leases import amaintain_concurrency_lease


def ignore_lost_deployment_slot() -> None:
    """Change Prefect so that runs in this process continue if the slot of their deployment cannot be renewed."""
    flow_engine.amaintain_concurrency_lease = _maintain_lease_without_cancelling  # type: ignore[attr-defined]  # not exported


@asynccontextmanager
async def _maintain_lease_without_cancelling(
    lease_id: UUID,
    lease_duration: float,
    raise_on_lease_renewal_failure: bool = False,
    suppress_warnings: bool = False,
) -> AsyncIterator[None]:
    # The engine passes True, which cancels the run; Prefect has no setting for it.
    async with amaintain_concurrency_lease(
        lease_id, lease_duration, raise_on_lease_renewal_failure=False, suppress_warnings=suppress_warnings
    ):
        yield
