"""Durations as text."""

UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def duration_text(seconds: float) -> str:
    """Return a duration in its two largest units: `45 s`, `2 m 40 s`, `1 h 5 m`, `3 d`."""
    left = max(0, round(seconds))
    first = next((at for at, (_, size) in enumerate(UNITS) if left >= size), len(UNITS) - 1)
    parts: list[str] = []
    for name, size in UNITS[first : first + 2]:
        amount, left = divmod(left, size)
        if amount or not parts:
            parts.append(f"{amount} {name}")
    return " ".join(parts)
