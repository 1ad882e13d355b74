"""What an answer cost, as the service says it in headers or, in a stream, in comment lines."""

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Receipt:
    """Money in micro-USD; None where the service said nothing."""

    billed_micro_usd: int | None = None
    frontier_would_have_cost_micro_usd: int | None = None

    @property
    def savings_factor(self) -> float | None:
        """How many times more the frontier model would have cost, to one decimal."""
        billed, frontier = self.billed_micro_usd, self.frontier_would_have_cost_micro_usd
        return round(frontier / billed, 1) if billed and frontier else None


NO_RECEIPT = Receipt()


def receipt_from_headers(headers: Mapping[str, str]) -> Receipt:
    """Read `X-Pareta-Billed` and `X-Pareta-Frontier-Would-Have-Cost`."""
    billed = headers.get("x-pareta-billed")
    frontier = headers.get("x-pareta-frontier-would-have-cost")
    if billed is None and frontier is None:
        return NO_RECEIPT
    return Receipt(_micro_usd(billed), _micro_usd(frontier))


def receipt_with_comment(receipt: Receipt, comment: str) -> Receipt:
    """Add what a stream's comment line says, e.g. `pareta-billed-micro-usd 42`; other comments change nothing."""
    match comment.split():
        case ["pareta-billed-micro-usd", amount]:
            return replace(receipt, billed_micro_usd=_micro_usd(amount))
        case ["pareta-frontier-would-have-cost-micro-usd", amount]:
            return replace(receipt, frontier_would_have_cost_micro_usd=_micro_usd(amount))
        case _:
            return receipt


def _micro_usd(text: str | None) -> int | None:
    # isdecimal alone would accept other scripts' digits and any length (int() refuses beyond 4,300 digits).
    return int(text) if text is not None and text.isascii() and text.isdecimal() and len(text) < 19 else None
