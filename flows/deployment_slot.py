"""A run outlives the slot of its deployment. Why: docs/decisions/a-run-outlives-its-deployments-slot.md."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from prefect import flow_engine
from prefect.concurrency._leases import amaintain_concurrency_lease


def ignore_lost_deployment_slot() -> None:
    """Let runs in this process go on when Prefect cannot renew the slot of their deployment; it would cancel them."""
    flow_engine.amaintain_concurrency_lease = _renewed_while_possible  # type: ignore[attr-defined]  # not exported


@asynccontextmanager
async def _renewed_while_possible(
    lease_id: UUID,
    lease_duration: float,
    raise_on_lease_renewal_failure: bool = False,
    suppress_warnings: bool = False,
) -> AsyncIterator[None]:
    # The engine asks to be cancelled, and there is no setting for it.
    async with amaintain_concurrency_lease(
        lease_id, lease_duration, raise_on_lease_renewal_failure=False, suppress_warnings=suppress_warnings
    ):
        yield
