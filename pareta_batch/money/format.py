"""Amounts in dollars: the one format of terminal, pages, artifacts and quotes."""

from decimal import ROUND_HALF_UP, Decimal
from math import isfinite

CENTS_FROM_USD = Decimal("0.1")
"""Amount from which cents are enough, in dollars. Raised: more amounts with more than two decimals."""
SIGNIFICANT_DIGITS = 3
"""Significant digits of an amount below `CENTS_FROM_USD`. Raised: longer numbers."""
UNKNOWN = "an unknown amount"


def dollars(micro_usd: float | None) -> str:
    """Return micro-USD as dollars, rounded half up: `$1.20`, `$0.0518`, `$0.000042`.

    Amounts from `CENTS_FROM_USD` have two decimals. Smaller ones keep `SIGNIFICANT_DIGITS` without trailing zeros, and
    two decimals at least.
    """
    if micro_usd is None or not isfinite(micro_usd):
        return UNKNOWN
    amount = Decimal(repr(float(micro_usd))) / 1_000_000
    decimals = 2 if abs(amount) >= CENTS_FROM_USD or not amount else SIGNIFICANT_DIGITS - 1 - amount.adjusted()
    rounded = abs(amount).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
    return f"{'−' if amount < 0 else ''}${_with_cents(f'{rounded:,f}')}"


def budget_dollars(usd: float | None) -> str:
    """Return a budget, which is in dollars, in the format of `dollars`."""
    return dollars(None if usd is None else usd * 1_000_000)


def _with_cents(number: str) -> str:
    whole, _, decimals = number.partition(".")
    return f"{whole}.{decimals.rstrip('0'):0<2}"


def money_notes(budget_usd: float | None, overspent: int | None, rise: float | None) -> list[str]:
    """Return a report's notes on a risen price and on an exceeded budget."""
    notes = []
    if rise is not None:
        notes.append(f"the price changed: the highest receipt is {rise:.3g} × the bound from the cheapest receipts")
    if overspent:
        why = (
            "the requests in flight when the price changed were reserved at the old price"
            if rise is not None
            else "the first answer, sent before any price was known, cost more than the remaining budget"
        )
        notes.append(f"{dollars(overspent)} at most above the budget of {budget_dollars(budget_usd)}: {why}")
    return notes
