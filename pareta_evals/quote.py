"""Quotes of comparisons, by model, before anything is bought."""

import asyncio
from collections.abc import Collection, Sequence

from pydantic import Field

from pareta_batch import BatchError, CostQuote, CostRange, Frozen, Ledger, Quoted, digest, dollars, hit_rate, keep_quote
from pareta_client import AsyncPareta, ParetaError
from pareta_evals.runner import EvalRunner
from pareta_evals.spec import Comparisons, ComparisonSpec

ASSUMED = "with right-or-wrong scores, if the two models disagree on 20 % of the rows"


class PlannedSize(Frozen):
    """A number of rows, with the power and the cost of a comparison on them.

    `shows`: smallest difference detected with 80 % power (0.06 is six points; None if not detectable). `passes`:
    probability that a model as good as the baseline passes the gate. `likely_micro_usd`: expected cost.
    """

    rows: int
    shows: float | None
    passes: float
    likely_micro_usd: int

    def as_line(self, margin: float) -> str:
        """Return the size as a line of a plan."""
        shows = "shows no difference" if self.shows is None else f"shows {100 * self.shows:.0f} points"
        passes = f"passes the gate at M = {100 * margin:g} with {100 * self.passes:.0f} %"
        return f"{self.rows:,} rows: {shows}, {passes}; costs {dollars(self.likely_micro_usd)}"


class ComparisonQuote(Frozen):
    """The quote of one comparison: cost by model (micro-USD; None if unknown), and reused scores.

    `plan`: alternative numbers of rows, for a model as good as the baseline and a gate with this `margin`.
    """

    name: str
    rows: int | None = None
    models: dict[str, float | None] = Field(default_factory=dict)
    reused: dict[str, str] = Field(default_factory=dict)
    paid_for: str | None = None
    problem: str | None = None
    margin: float = 0.0
    grouped: bool = False
    plan: tuple[PlannedSize, ...] = ()

    @property
    def likely_micro_usd(self) -> float:
        """The sum of the known costs."""
        return 0.0 if self.paid_for else sum(cost or 0.0 for cost in self.models.values())

    def __str__(self) -> str:
        if self.problem is not None:
            return f"{self.name}: {self.problem}"
        if self.paid_for is not None:
            return f"{self.name}: nothing to pay, eval run {self.paid_for} has these scores"
        lines = [f"{self.name}: {self.rows} rows, about {dollars(self.likely_micro_usd)}"]
        lines += [f"  {model}: {'unknown' if cost is None else dollars(cost)}" for model, cost in self.models.items()]
        lines += [f"  {model}: reused from {run_id}" for model, run_id in self.reused.items()]
        lines += [f"  {size.as_line(self.margin)}" for size in self.plan]
        independent = ", and if rows do not belong together (else read groups for rows)" if self.grouped else ""
        return "\n".join([*lines, *([f"  {ASSUMED}{independent}"] if self.plan else [])])


class ComparisonsQuote(CostQuote):
    """The quote of comparisons from the leaderboard; its costs are of other rows, so the range is wide."""

    name: str
    comparisons: tuple[ComparisonQuote, ...]
    cost: CostRange = Field(exclude=True)
    held: int = 0
    checked: int = 0

    def __str__(self) -> str:
        total = self.cost.described("leaderboard")
        record = f"; of the last {self.checked} quotes of comparisons {self.held} held" if self.checked else ""
        return "\n".join([*map(str, self.comparisons), f"{self.name}: {total}{record}"])


async def quote_comparisons(
    comparisons: Comparisons, pareta: AsyncPareta, ledger: Ledger, occurrence: str | None = None
) -> ComparisonsQuote:
    """Return the quote of every comparison, or its problem, and save the quotes; nothing is made or bought.

    `occurrence`: key of a deliberate repetition, which buys everything again.
    """
    quotes = [await quote_of(EvalRunner(spec, pareta, ledger, occurrence)) for spec in comparisons.comparisons]
    await asyncio.to_thread(_keep, ledger, quotes)
    so_far = await asyncio.to_thread(hit_rate, ledger, "comparison", "leaderboard")
    return ComparisonsQuote(
        held=so_far.held,
        checked=so_far.checked,
        name=comparisons.name,
        comparisons=tuple(quotes),
        cost=CostRange.from_leaderboard(sum(quote.likely_micro_usd for quote in quotes)),
    )


def subject_of(rows: int | None, bought: Collection[str]) -> str:
    """Return the key of a comparison's quote: a digest of the number of rows and the bought models."""
    return digest([rows, sorted(bought)])


def _keep(ledger: Ledger, made: Sequence[ComparisonQuote]) -> None:
    for quote in made:
        whole = quote.models and None not in quote.models.values()
        if not whole or quote.rows is None or quote.paid_for or quote.problem:
            continue
        quoted = Quoted(
            kind="comparison",
            name=quote.name,
            basis="leaderboard",
            rows=quote.rows,
            cost=CostRange.from_leaderboard(quote.likely_micro_usd),
            subject=subject_of(quote.rows, quote.models),
        )
        keep_quote(ledger, quoted)


async def quote_of(work: EvalRunner) -> ComparisonQuote:
    """Return the quote of one comparison, or its problem; nothing is made, bought or saved."""
    spec: ComparisonSpec = work.spec
    try:
        rows = await work.rows()
        eval_set_id = await work.known_eval_set(rows)
        plan = await work.known_plan(eval_set_id) or await work.new_plan(eval_set_id)
        paid_for = (await work.find_run(eval_set_id, plan))[0] if eval_set_id else None
        count = len(rows.items) if rows else await work.row_count(eval_set_id)
        estimate = await work.costs(plan, count, eval_set_id)
    except (ParetaError, BatchError) as error:
        return ComparisonQuote(name=spec.name, problem=f"{type(error).__name__}: {error}")
    return ComparisonQuote(name=spec.name, rows=count, models=estimate, reused=dict(plan.reused), paid_for=paid_for)
