"""Receipts: the cost of an answer, from response headers or from comment lines of a stream."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pareta_client.core.json_reading import note
from pareta_client.core.values import count_of, shown

BILLED = "x-pareta-billed"
FRONTIER = "x-pareta-frontier-would-have-cost"
_FAST_PATH_DIGITS = 12
"""Texts of up to this number of digits are amounts in range, and skip the general parser."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Amounts in micro-USD; None if missing or invalid."""

    billed_micro_usd: int | None = None
    frontier_would_have_cost_micro_usd: int | None = None

    @property
    def savings_factor(self) -> float | None:
        """Frontier cost divided by billed cost, rounded to one decimal; None if unknown or not billed."""
        billed, frontier = self.billed_micro_usd, self.frontier_would_have_cost_micro_usd
        return round(frontier / billed, 1) if billed and frontier else None

    def after(self, billed_before: int | None) -> "Receipt":
        """Add the amount billed for earlier attempts of the same call."""
        if billed_before is None:
            return self
        return replace(self, billed_micro_usd=added(self.billed_micro_usd, billed_before))


NO_RECEIPT = Receipt()


def receipt_from_headers(headers: Mapping[str, str], notes: list[str] | None = None) -> Receipt:
    """Read `X-Pareta-Billed` and `X-Pareta-Frontier-Would-Have-Cost`; add a note for an invalid amount."""
    billed = headers.get(BILLED)
    frontier = headers.get(FRONTIER)
    if billed is None and frontier is None:
        return NO_RECEIPT
    notes = [] if notes is None else notes
    return Receipt(_micro_usd(BILLED, billed, notes), _micro_usd(FRONTIER, frontier, notes))


def receipt_with_comment(receipt: Receipt, comment: str) -> Receipt:
    """Add the amount of a comment line such as `pareta-billed-micro-usd 42`; ignore other comments."""
    match comment.split():
        case ["pareta-billed-micro-usd", text] if (amount := count_of(text)) is not None:
            return replace(receipt, billed_micro_usd=amount)
        case ["pareta-frontier-would-have-cost-micro-usd", text] if (amount := count_of(text)) is not None:
            return replace(receipt, frontier_would_have_cost_micro_usd=amount)
        case _:
            return receipt


def added(one: int | None, other: int | None) -> int | None:
    """Add two amounts; None counts as 0, unless both are None."""
    return other if one is None else one if other is None else one + other


def _micro_usd(name: str, text: str | None, notes: list[str]) -> int | None:
    """Parse an amount; a repeated equal value, joined by a proxy with commas, is accepted."""
    if text is None:
        return None
    if len(text) <= _FAST_PATH_DIGITS and text.isascii() and text.isdigit():
        return int(text)
    amounts = {count_of(part) for part in text.split(",")}
    amount = amounts.pop()
    if amounts or amount is None:
        note(notes, f"the header {name} is {shown(text)}: not an amount in micro-USD, ignored")
        return None
    return amount
