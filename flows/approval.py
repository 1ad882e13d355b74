"""Approval of a quote by a person, before anything is billed: a form of a suspended run, without a process."""

from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeVar

from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import Pause
from prefect.input import RunInput
from prefect.input.actions import adelete_flow_run_input, aread_flow_run_input
from prefect.input.run_input import keyset_from_base_key
from prefect.states import Suspended
from pydantic import Field, ValidationError

from flows.approval_errors import Declined
from flows.bounds import Bounds
from flows.collisions import is_unattended
from flows.outcomes import remark
from flows.parameters import Pipeline
from flows.quotes import PipelineQuote
from flows.suspension import propose_suspension
from pareta_batch import ApprovalNeeded, Batch, Quote, budget_dollars, high_of_rows, question_above
from pareta_evals import Comparisons, ComparisonsQuote
from tasks import current_flow_run, run_logger

KEY = "approval"
"""Pause key: one approval per run. Prefect forgets the used keys when an ended run is started again; not the answer."""
STATE = "AwaitingApproval"
KEYSET = keyset_from_base_key(KEY)

Approvable = TypeVar("Approvable", Batch, Comparisons, Pipeline)
CheckedQuote = Quote | ComparisonsQuote | PipelineQuote


class Approval(RunInput):
    """The form of a run that waits for an approval."""

    approve: Literal["yes", "no"] = Field(title="Approve", description="yes: the run starts; no: it ends as Declined")
    note: str = Field("", max_length=1000, title="Note", description="Shown in the last state of the run")


class ApprovalWithCeiling(Approval):
    """The form of a run that can have a budget."""

    ceiling_usd: float | None = Field(
        None, ge=0.000001, title="New ceiling", description="Replaces budget_usd (dollars); empty keeps it"
    )


async def approved(spec: Approvable, bounds: Bounds | None, quote: Callable[[], Awaitable[CheckedQuote]]) -> Approvable:
    """Return the spec if its quote needs no approval or has one; the approval may set a new ceiling.

    Otherwise suspends this run of a deployment. A resumed flow runs from the top and finds the answer here.

    Raises:
        ApprovalNeeded: No person can be asked, because this is no run of a deployment.
        Declined: A person declined the quote.
    """
    if spec.approve_above_usd is None:
        return spec
    run = current_flow_run()
    if run is not None and (answer := await _answer_of(run)) is not None:
        return _with_answer(spec, bounds, answer)
    if (question := question_of(spec, made := await quote())) is None:
        run_logger().info("no approval needed: %s", made)
        return spec
    if run is None or not is_unattended(run):
        raise ApprovalNeeded(question)
    raise await _suspended(run, spec, question)


def question_of(spec: Batch | Comparisons | Pipeline, quote: CheckedQuote) -> str | None:
    """Return the quote with the approval that it needs; None if it needs none."""
    return question_above(spec, quote, highest_micro_usd(quote))


def highest_micro_usd(quote: CheckedQuote) -> int | None:
    """Return the high end of a quote; None if a cost in it is unknown."""
    if isinstance(quote, Quote):
        return high_of_rows(quote)
    comparisons = quote.comparisons if isinstance(quote, PipelineQuote) else quote
    if isinstance(comparisons, ComparisonsQuote) and any(
        each.problem or (None in each.models.values() and not each.paid_for) for each in comparisons.comparisons
    ):
        return None
    return quote.high_micro_usd


def form_of(spec: Batch | Comparisons | Pipeline) -> type[Approval]:
    """Return the form; without a ceiling for a spec whose answers have no bounded cost."""
    try:
        type(spec).model_validate({**spec.model_dump(), "budget_usd": 1.0})
    except ValidationError:
        return Approval
    return ApprovalWithCeiling


def _with_answer(spec: Approvable, bounds: Bounds | None, answer: ApprovalWithCeiling) -> Approvable:
    note = f": {answer.note}" if answer.note else ""
    if answer.approve == "no":
        raise Declined(f"declined in the form of the run{note}; nothing was sent")
    ceiling = answer.ceiling_usd
    if ceiling is not None and bounds is not None:
        ceiling = min(ceiling, spec.budget_usd or bounds.budget_usd, bounds.budget_usd)
    remark.set(f"approved{f', ceiling {budget_dollars(ceiling)}' if ceiling is not None else ''}{note}")
    run_logger().info("%s", remark.get())
    return spec if ceiling is None else type(spec).model_validate({**spec.model_dump(), "budget_usd": ceiling})


async def _answer_of(run: FlowRun) -> ApprovalWithCeiling | None:
    """Return the answer of this run, or None if no person was asked yet."""
    answer: Any = await aread_flow_run_input(KEYSET["response"], flow_run_id=run.id)  # JSON
    if answer is not None:
        return ApprovalWithCeiling.model_validate(answer)
    if KEY in (run.empirical_policy.pause_keys or ()):
        raise ApprovalNeeded("the run was resumed without its form, so no person has approved its quote")
    return None


async def _suspended(run: FlowRun, spec: Batch | Comparisons | Pipeline, question: str) -> Pause:
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
