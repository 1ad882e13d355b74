"""Patch of Prefect: losing the slot of a deployment does not cancel a run of these flows.

Reason, and the upstream issues: docs/decisions/a-run-outlives-its-deployments-slot.md.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from uuid import UUID

import prefect
from prefect import flow_engine
from prefect.context import FlowRunContext
from prefect.logging import get_logger

from flows.outcomes import MARK

PATCHED_VERSIONS = ("3.8", "3.9")
"""Prefect versions that the patch was tested with. Other versions are left unchanged."""

MaintainLease = Callable[[UUID, float, bool, bool], AbstractAsyncContextManager[None]]


def ignore_lost_deployment_slot(version: str = prefect.__version__) -> bool:
    """Change Prefect in this process for runs of marked functions; return whether its version is a known one."""
    if ".".join(version.split(".")[:2]) not in PATCHED_VERSIONS:
        message = "Prefect %s is not one of %s: a run that loses the slot of its deployment is cancelled"
        get_logger("pareta").warning(message, version, ", ".join(PATCHED_VERSIONS))
        return False
    # Only now: the module is private, and another version may not have it.
    from prefect.concurrency._leases import amaintain_concurrency_lease

    flow_engine.amaintain_concurrency_lease = _tolerating(amaintain_concurrency_lease)  # type: ignore[attr-defined, assignment]  # not exported
    return True


def _tolerating(maintain: MaintainLease) -> MaintainLease:
    @asynccontextmanager
    async def maintain_lease(
        lease_id: UUID,
        lease_duration: float,
        raise_on_lease_renewal_failure: bool = False,
        suppress_warnings: bool = False,
    ) -> AsyncIterator[None]:
        # The engine passes True, which cancels the run.
        strict = raise_on_lease_renewal_failure and not _current_run_is_marked()
        async with maintain(lease_id, lease_duration, strict, suppress_warnings):
            yield

    return maintain_lease


def _current_run_is_marked() -> bool:
    context = FlowRunContext.get()
    return context is not None and context.flow is not None and getattr(context.flow.fn, MARK, False)
