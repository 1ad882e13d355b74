"""Money as a batch's sentences say it."""


def dollars(micro_usd: float | None) -> str:
    """Write an amount to a hundredth of a cent: a row costs little."""
    return "an unknown amount" if micro_usd is None else f"${micro_usd / 1_000_000:.4f}"


def estimate(low: float, likely: float, high: float, basis: str | None = None) -> str:
    """Write an amount that is not known yet, with how far it may be off and what that is from."""
    source = f", from {basis}" if basis else ""
    return f"about {dollars(likely)} ({dollars(low)} to {dollars(high)}{source})"
