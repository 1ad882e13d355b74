"""What an answer cost, as the service says it in headers or, in a stream, in comment lines."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pareta_client.core.json_reading import note
from pareta_client.core.values import count_of, shown

BILLED = "x-pareta-billed"
FRONTIER = "x-pareta-frontier-would-have-cost"
_USUAL = 12
"""Digits that are surely within the range of a receipt."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Money in micro-USD; None where the service said nothing, or nothing that can be believed."""

    billed_micro_usd: int | None = None
    frontier_would_have_cost_micro_usd: int | None = None

    @property
    def savings_factor(self) -> float | None:
        """How many times more the frontier model would have cost, to one decimal."""
        billed, frontier = self.billed_micro_usd, self.frontier_would_have_cost_micro_usd
        return round(frontier / billed, 1) if billed and frontier else None

    def after(self, billed_before: int | None) -> "Receipt":
        """Add what earlier attempts of the same call were billed."""
        if billed_before is None:
            return self
        return replace(self, billed_micro_usd=added(self.billed_micro_usd, billed_before))


NO_RECEIPT = Receipt()


def receipt_from_headers(headers: Mapping[str, str], notes: list[str] | None = None) -> Receipt:
    """Read `X-Pareta-Billed` and `X-Pareta-Frontier-Would-Have-Cost`; adds a note for a value that is no amount."""
    billed = headers.get(BILLED)
    frontier = headers.get(FRONTIER)
    if billed is None and frontier is None:
        return NO_RECEIPT
    told = [] if notes is None else notes
    return Receipt(_micro_usd(BILLED, billed, told), _micro_usd(FRONTIER, frontier, told))


def receipt_with_comment(receipt: Receipt, comment: str) -> Receipt:
    """Add what a stream's comment line says, e.g. `pareta-billed-micro-usd 42`; other comments change nothing."""
    match comment.split():
        case ["pareta-billed-micro-usd", text] if (amount := count_of(text)) is not None:
            return replace(receipt, billed_micro_usd=amount)
        case ["pareta-frontier-would-have-cost-micro-usd", text] if (amount := count_of(text)) is not None:
            return replace(receipt, frontier_would_have_cost_micro_usd=amount)
        case _:
            return receipt


def added(one: int | None, other: int | None) -> int | None:
    """Add two amounts of which either may be unknown; None only if both are."""
    return other if one is None else one if other is None else one + other


def _micro_usd(name: str, text: str | None, notes: list[str]) -> int | None:
    """Read an amount; the same amount several times, as a proxy joins repeated headers, is that amount."""
    if text is None:
        return None
    if len(text) <= _USUAL and text.isascii() and text.isdigit():
        return int(text)
    amounts = {count_of(part) for part in text.split(",")}
    amount = amounts.pop()
    if amounts or amount is None:
        note(notes, f"the header {name} is {shown(text)}: not an amount in micro-USD, taken as unknown")
        return None
    return amount
