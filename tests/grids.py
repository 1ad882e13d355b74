"""Grids of test cases of which the first, or the first and the last, are fast; `make check` runs the others too."""

from collections.abc import Iterable
from typing import Any

import pytest


def extremes(cases: Iterable[Any]) -> list[Any]:  # whatever a test is parametrised with
    """Return the cases; those between the first and the last one are marked `long`."""
    first, *between, last = cases
    return [first, *(pytest.param(each, marks=pytest.mark.long) for each in between), last]


def first_of(cases: Iterable[Any]) -> list[Any]:
    """Return the cases; all but the first one are marked `long`."""
    first, *others = cases
    return [first, *(pytest.param(each, marks=pytest.mark.long) for each in others)]
