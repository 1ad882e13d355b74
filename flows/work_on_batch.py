"""Flow of one member of a batch with `runner: pool`; the run of the batch starts it."""

import asyncio
from typing import Annotated

from pydantic import ConfigDict, Field

from flows.direct import flow
from flows.forms import titled
from flows.outcomes import named_outcome
from pareta_batch import Batch, LedgerDiffers, Member, MemberReport, Spec, ledger_id, work_as_member
from tasks import make_client, shared_ledger, tag_run, warn_of_other_worker


class MemberOfRun(Spec):
    """A member, from the run of its batch."""

    model_config = ConfigDict(title="Member")

    run: str = Field(title="Run", description="Id of the batch's run in the ledger")
    number: int = Field(ge=0, title="Number", description="Number of the member, from 0")
    only_failed: bool = Field(False, title="Only failed", description="Send only failed rows")
    errors: tuple[str, ...] = Field((), title="Errors", description="Error classes of the failed rows to send")

    def member(self) -> Member:
        """Return the member."""
        return Member(self.run, self.number, self.only_failed, self.errors)


@flow(name="work-on-batch", flow_run_name="member {member.number} of {batch.name}")
@named_outcome
async def work_on_batch(
    batch: Annotated[Batch, titled("Batch")],
    member: Annotated[MemberOfRun, titled("Member")],
    ledger: Annotated[str, titled("Ledger")],
) -> MemberReport:
    """Send rows of a batch beside its other members, until all are sent or the batch is stopped.

    Args:
        batch: The batch. Its run sets this parameter.
        member: The member of the run. Its run sets this parameter.
        ledger: Id of the run's ledger. The member ends as LedgerDiffers if its own is another one.
    """
    await tag_run(batch=batch.name, endpoint=batch.model, **batch.tags.named())
    async with shared_ledger() as own:
        if await asyncio.to_thread(ledger_id, own) != ledger:
            raise LedgerDiffers(f"ledger {own.place} of this worker is not that of the run of batch {batch.name!r}")
        client = await make_client()
        await warn_of_other_worker(batch, own, client.api_key)
        return await work_as_member(batch, client, own, member.member())
