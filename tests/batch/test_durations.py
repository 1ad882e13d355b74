"""Durations are shown in their two largest units."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareta_batch.durations import UNITS, duration_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (0, "0 s"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 m"),
        (160, "2 m 40 s"),
        (3_600, "1 h"),
        (3_905, "1 h 5 m"),
        (86_399.7, "1 d"),
        (90_000, "1 d 1 h"),
        (86_400 + 59, "1 d"),
    ],
)
def test_a_duration_has_at_most_two_units(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@given(st.floats(0, 1e9))
def test_the_text_is_the_duration_rounded_down_to_its_second_unit(seconds: float) -> None:
    sizes = dict(UNITS)
    parts = re.findall(r"(\d+) ([dhms])", duration_text(seconds))
    shown = sum(int(amount) * sizes[unit] for amount, unit in parts)
    smallest = {"d": 3_600, "h": 60, "m": 1, "s": 1}[parts[0][1]]
    assert 0 <= round(seconds) - shown < smallest
