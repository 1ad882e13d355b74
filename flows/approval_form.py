"""Form of a run that is suspended, without a process, until a person approves its quote."""

from typing import Any, Literal

from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import Pause
from prefect.input import RunInput
from prefect.input.actions import adelete_flow_run_input, aread_flow_run_input
from prefect.input.run_input import keyset_from_base_key
from prefect.states import Suspended
from pydantic import Field, ValidationError

from flows.parameters import Pipeline
from flows.suspension import propose_suspension
from pareta_batch import ApprovalNeeded, Batch
from pareta_evals import Comparisons
from tasks import run_logger

KEY = "approval"
"""Pause key: one approval per run. Prefect forgets the used keys when an ended run is started again; not the answer."""
STATE = "AwaitingApproval"
KEYSET = keyset_from_base_key(KEY)


class Approval(RunInput):
    """The form of a run that waits for an approval."""

    approve: Literal["yes", "no"] = Field(title="Approve", description="yes: the run starts; no: it ends as Declined")
    note: str = Field("", max_length=1000, title="Note", description="Shown in the last state of the run")


class ApprovalWithCeiling(Approval):
    """The form of a run that can have a budget."""

    ceiling_usd: float | None = Field(
        None, ge=0.000001, title="New ceiling", description="Replaces budget_usd (dollars); empty keeps it"
    )


def form_of(spec: Batch | Comparisons | Pipeline) -> type[Approval]:
    """Return the form; without a ceiling for a spec whose answers have no bounded cost."""
    try:
        type(spec).model_validate({**spec.model_dump(), "budget_usd": 1.0})
    except ValidationError:
        return Approval
    return ApprovalWithCeiling


async def answer_of(run: FlowRun) -> ApprovalWithCeiling | None:
    """Return the answer of this run, or None if no person was asked yet."""
    answer: Any = await aread_flow_run_input(KEYSET["response"], flow_run_id=run.id)  # JSON
    if answer is not None:
        return ApprovalWithCeiling.model_validate(answer)
    if KEY in (run.empirical_policy.pause_keys or ()):
        raise ApprovalNeeded("the run was resumed without its form, so no person has approved its quote")
    return None


async def suspended(run: FlowRun, spec: Batch | Comparisons | Pipeline, question: str) -> Pause:
    """Suspend the run with its form; return the exception that ends its process."""
    run_logger().warning("suspended until it is approved: %s", question)
    message = f"{question}; approve or decline: Resume in the menu of the run"
    state: State[None] = Suspended(pause_key=KEY, message=message)
    state.name = STATE
    state.state_details.run_input_keyset = {str(name): key for name, key in KEYSET.items()}
    accepted = await propose_suspension(run.id, state)
    form = form_of(spec).with_initial_data(description=message)
    await _delete_form(run)
    await form.asave(KEYSET, flow_run_id=run.id)
    return Pause(state=accepted)


async def _delete_form(run: FlowRun) -> None:
    """Delete the unanswered form from before the run was started again: Prefect 3.8 does not replace it."""
    for key in KEYSET.values():
        if await aread_flow_run_input(key, flow_run_id=run.id) is not None:
            await adelete_flow_run_input(key, flow_run_id=run.id)
