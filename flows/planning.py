"""Plan of a comparison before anything is bought: detectable differences and cost by number of rows."""

from collections.abc import Sequence

from pareta_evals import ComparisonQuote, ComparisonSpec, ComparisonsQuote, PlannedSize
from pareta_report import detectable, of_gate, rows_to_pass

MULTIPLES = (1, 2, 4)
"""Planned sizes, in multiples of the number of eval rows. More sizes make the quote longer."""


def with_plans(
    quote: ComparisonsQuote, specs: Sequence[ComparisonSpec], margin: float | None = None
) -> ComparisonsQuote:
    """Return the quote with a plan for each comparison at several sizes, for right-or-wrong scores.

    Args:
        margin: Margin of the gate; None for the comparison's own.
    """
    planned = (
        _planned(each, spec, spec.margin if margin is None else margin)
        for each, spec in zip(quote.comparisons, specs, strict=True)
    )
    return quote.model_copy(update={"comparisons": tuple(planned)})


def _planned(quote: ComparisonQuote, spec: ComparisonSpec, margin: float) -> ComparisonQuote:
    rows = quote.rows
    if not rows or quote.problem is not None:
        return quote
    candidates = len(spec.models)
    needed = rows_to_pass(margin, candidates)
    sizes = sorted({*(rows * times for times in MULTIPLES), *([needed] if needed and needed > rows else [])})
    plan = tuple(
        PlannedSize(
            rows=size,
            shows=detectable(size, tests=candidates),
            passes=of_gate(size, margin=margin, candidates=candidates),
            likely_micro_usd=round(quote.likely_micro_usd * size / rows),
        )
        for size in sizes
    )
    return quote.model_copy(update={"plan": plan, "margin": margin, "grouped": spec.group_column is not None})
