"""Money as a batch's sentences say it."""


def dollars(micro_usd: float | None) -> str:
    """Write an amount to a hundredth of a cent: a row costs little."""
    return "an unknown amount" if micro_usd is None else f"${micro_usd / 1_000_000:.4f}"
