"""One cost range for every kind of quote, one text, and the same JSON fields."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from flows.quotes import PipelineQuote, cost_in_all
from pareta_batch import CostQuote, CostRange, Quote
from pareta_evals import ComparisonsQuote

COST = CostRange(46_000, 53_100, 62_149)
BATCH = Quote(name="b", total=9, to_send=9, basis="receipts", cost=COST)
UNKNOWN = Quote(name="b", total=9, to_send=9, basis="nothing")
COMPARED = ComparisonsQuote(name="c", comparisons=(), cost=CostRange(1, 2, 3))


def pipeline(batch: Quote, compared: ComparisonsQuote | None) -> PipelineQuote:
    cost = cost_in_all(batch, compared)
    return PipelineQuote(
        name="p", model="m", endpoint=None, deploys=False, batch=batch, comparisons=compared, cost=cost
    )


def test_a_range_is_written_with_its_ends_and_its_source() -> None:
    assert str(COST) == "about $0.0531 ($0.046 to $0.0621)"
    assert CostRange(1, 2, 3).described("receipts") == "about $0.000002 ($0.000001 to $0.000003, from receipts)"


amounts = some.floats(-1e3, 1e12)


@given(amounts, amounts, amounts)
def test_whole_micro_usd_contain_the_range(one: float, two: float, three: float) -> None:
    low, likely, high = sorted((one, two, three))
    cost = CostRange.rounded(low, likely, high)
    assert 0 <= cost.low <= max(low, 0)
    assert cost.high >= high
    assert abs(cost.likely - likely) <= 0.5


@given(some.integers(0, 10**9))
def test_a_range_from_the_leaderboard_is_three_times_to_either_side(likely: int) -> None:
    cost = CostRange.from_leaderboard(likely)
    assert cost.low <= likely / 3 <= cost.low + 1
    assert (cost.likely, cost.high) == (likely, 3 * likely)


@pytest.mark.parametrize(
    ("batch", "compared", "expected"),
    [
        (BATCH, COMPARED, CostRange(46_001, 53_102, 62_152)),
        (BATCH, None, COST),
        (UNKNOWN, COMPARED, None),
        (UNKNOWN, None, None),
    ],
)
def test_a_pipeline_costs_its_parts(
    batch: Quote, compared: ComparisonsQuote | None, expected: CostRange | None
) -> None:
    quote = pipeline(batch, compared)
    assert quote.cost == expected
    assert str(quote).splitlines()[-1] == f"p in all: {expected or 'not known'}"


@pytest.mark.parametrize("quote", [BATCH, UNKNOWN, COMPARED, pipeline(BATCH, COMPARED), pipeline(UNKNOWN, None)])
def test_the_json_of_a_quote_has_the_ends_and_nothing_else_of_the_range(quote: CostQuote) -> None:
    written = json.loads(quote.model_dump_json())
    ends = [written[name] for name in ("low_micro_usd", "likely_micro_usd", "high_micro_usd")]
    assert ends == ([None] * 3 if quote.cost is None else [quote.cost.low, quote.cost.likely, quote.cost.high])
    assert "cost" not in written
