"""Dollars are written in one way: rounded, with as many digits as the amount needs."""

import math
import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from pareta_batch.money.format import budget_dollars, dollars

PACKAGES = ("pareta_batch", "pareta_cli", "pareta_evals", "pareta_report", "flows", "tasks")


@pytest.mark.parametrize(
    ("micro_usd", "text"),
    [
        (51_800, "$0.0518"),
        (1_200_000, "$1.20"),
        (42, "$0.000042"),
        (866_710, "$0.87"),
        (0, "$0.00"),
        (-0.0, "$0.00"),
        (0.5, "$0.0000005"),
        (14.3, "$0.0000143"),
        (53_250, "$0.0533"),
        (53_249, "$0.0532"),
        (40_000, "$0.04"),
        (9_999, "$0.01"),
        (99_949, "$0.0999"),
        (99_950, "$0.10"),
        (125_000, "$0.13"),
        (2_675_000, "$2.68"),
        (999_999, "$1.00"),
        (12_345_678_901, "$12,345.68"),
        (1_000_000_000, "$1,000.00"),
        (-1_500_000, "−$1.50"),
        (-42, "−$0.000042"),
        (None, "an unknown amount"),
        (math.inf, "an unknown amount"),
        (math.nan, "an unknown amount"),
    ],
)
def test_an_amount_has_as_many_digits_as_it_needs(micro_usd: float | None, text: str) -> None:
    assert dollars(micro_usd) == text


@pytest.mark.parametrize(
    ("usd", "text"), [(5.0, "$5.00"), (0.29, "$0.29"), (0.0006, "$0.0006"), (0.0000019, "$0.0000019")]
)
def test_a_budget_is_written_as_every_other_amount(usd: float, text: str) -> None:
    assert budget_dollars(usd) == text


@given(some.integers(-(10**12), 10**12))
def test_a_text_is_as_near_to_its_amount_as_its_digits_allow(micro_usd: int) -> None:
    text = dollars(micro_usd)
    assert re.fullmatch(r"−?\$\d{1,3}(,\d{3})*\.\d{2,}", text)
    read = Decimal(text.replace("$", "").replace(",", "").replace("−", "-"))
    exact = Decimal(micro_usd) / 1_000_000
    tolerance = Decimal("0.005") if abs(exact) >= Decimal("0.1") else abs(exact) / 200
    assert abs(read - exact) <= tolerance


@given(some.integers(0, 10**9), some.integers(0, 10**9))
def test_a_larger_amount_never_reads_as_a_smaller_one(one: int, other: int) -> None:
    low, high = (Decimal(dollars(each).replace("$", "").replace(",", "")) for each in sorted((one, other)))
    assert low <= high


def test_no_other_module_writes_a_dollar_sign_before_a_number() -> None:
    root = Path(__file__).parents[2]
    sources = [path for package in PACKAGES for path in (root / package).rglob("*.py")]
    other = [path for path in sources if re.search(r"\$(\{|%[sdf])", path.read_text(encoding="utf-8"))]
    assert other == [root / "pareta_batch/money/format.py"]
