"""Numbers of examples of the properties that choose them: the fast tests try a share."""

from hypothesis import settings

LEAST = 5


def share_of(thorough: int) -> int:
    """Return the number of examples, given that of `make check`; the profile in conftest.py has 100 there."""
    return max(LEAST, thorough * settings().max_examples // 100)
