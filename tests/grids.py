"""Grids of test cases whose first and last case are fast; `make check` runs the others too."""

from collections.abc import Iterable
from typing import Any

import pytest


def extremes(cases: Iterable[Any]) -> list[Any]:  # whatever a test is parametrised with
    """Return the cases; those between the first and the last one are marked `long`."""
    first, *between, last = cases
    return [first, *(pytest.param(each, marks=pytest.mark.long) for each in between), last]
