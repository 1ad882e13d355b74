"""Approval of a quote by a person, before anything is billed."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from flows.approval_errors import Declined
from flows.bounds import Bounds
from flows.collisions import is_unattended
from flows.outcomes import remark
from pareta_batch import ApprovalNeeded, Batch, Quote, budget_dollars, high_of_rows, question_above
from tasks import current_flow_run, run_logger

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

    from flows.approval_form import ApprovalWithCeiling
    from flows.parameters import Pipeline
    from flows.quotes import PipelineQuote
    from pareta_evals import Comparisons, ComparisonsQuote

    CheckedQuote = Quote | ComparisonsQuote | PipelineQuote

# Names of the specs: a batch alone does not need the modules of the others.
Approvable = TypeVar("Approvable", Batch, "Comparisons", "Pipeline")


async def approved(
    spec: Approvable, bounds: Bounds | None, quote: "Callable[[], Awaitable[CheckedQuote]]"
) -> Approvable:
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
    from flows.approval_form import suspended

    raise await suspended(run, spec, question)


def question_of(spec: "Batch | Comparisons | Pipeline", quote: "CheckedQuote") -> str | None:
    """Return the quote with the approval that it needs; None if it needs none."""
    return question_above(spec, quote, highest_micro_usd(quote))


def highest_micro_usd(quote: "CheckedQuote") -> int | None:
    """Return the high end of a quote; None if a cost in it is unknown."""
    if isinstance(quote, Quote):
        return high_of_rows(quote)
    from flows.quotes import PipelineQuote
    from pareta_evals import ComparisonsQuote

    comparisons = quote.comparisons if isinstance(quote, PipelineQuote) else quote
    if isinstance(comparisons, ComparisonsQuote) and any(
        each.problem or (None in each.models.values() and not each.paid_for) for each in comparisons.comparisons
    ):
        return None
    return quote.high_micro_usd


def _with_answer(spec: Approvable, bounds: Bounds | None, answer: "ApprovalWithCeiling") -> Approvable:
    note = f": {answer.note}" if answer.note else ""
    if answer.approve == "no":
        raise Declined(f"declined in the form of the run{note}; nothing was sent")
    ceiling = answer.ceiling_usd
    if ceiling is not None and bounds is not None:
        ceiling = min(ceiling, spec.budget_usd or bounds.budget_usd, bounds.budget_usd)
    remark.set(f"approved{f', ceiling {budget_dollars(ceiling)}' if ceiling is not None else ''}{note}")
    run_logger().info("%s", remark.get())
    return spec if ceiling is None else type(spec).model_validate({**spec.model_dump(), "budget_usd": ceiling})


async def _answer_of(run: "FlowRun") -> "ApprovalWithCeiling | None":
    # Only now: the form is a class of Prefect.
    from flows.approval_form import answer_of

    return await answer_of(run)
