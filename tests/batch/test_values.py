"""Values as text and as JSON: a scalar without quotation marks, every leaf of a nested one as JSON has it."""

import json
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareta_batch.rows.prompt_template import MissingValue, Prompt
from pareta_batch.rows.values import is_missing, json_text, text_of

NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("", ""),
        (True, "true"),
        (7, "7"),
        (2**70, "1180591620717411303424"),
        (1.5, "1.5"),
        (1e300, "1e+300"),
        (Decimal("12.30"), "12.30"),
        (Decimal("1E+3"), "1000"),
        (date(2024, 1, 2), "2024-01-02"),
        (time(3, 4, 5, 6), "03:04:05.000006"),
        (datetime(2024, 1, 2, 3, 4, 5), "2024-01-02 03:04:05"),
        (datetime(2024, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2))), "2024-01-02 03:04:05+02:00"),
        (datetime(2024, 7, 2, 3, 4, 5, tzinfo=ZoneInfo("Europe/Berlin")), "2024-07-02 03:04:05+02:00"),
        (pd.Timestamp("2024-01-02T03:04:05.123456789"), "2024-01-02 03:04:05.123456789"),
        (timedelta(days=1, hours=2, seconds=4.5), "P1DT2H4.5S"),
        (timedelta(0), "PT0S"),
        (timedelta(seconds=-1), "-PT1S"),
        (pd.Timedelta(5, unit="ns"), "PT0.000000005S"),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        ([1, None, "a"], '[1, null, "a"]'),
        (
            {"d": date(2024, 1, 2), "n": [NAN, -INFINITY, Decimal("0.10")]},
            '{"d": "2024-01-02", "n": [null, null, "0.10"]}',
        ),
        ([("key", 1)], '[["key", 1]]'),
    ],
)
def test_a_value_stands_in_a_prompt_as_a_person_would_write_it(value: object, text: str) -> None:
    assert Prompt.parse("<{x}>").render({"x": value}) == f"<{text}>"


@pytest.mark.parametrize("value", [None, NAN, pd.NaT, Decimal("NaN")])
def test_a_gap_of_any_type_is_no_value(value: object) -> None:
    assert is_missing(value)
    with pytest.raises(MissingValue):
        Prompt.parse("{x}").render({"x": value})
    assert json_text({"x": value}) == '{"x": null}'


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.timedeltas(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON_VALUES)
def test_any_value_is_strict_json(value: object) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    assert json_text(json.loads(json_text(value), parse_constant=refuse)) == json_text(value)


@given(
    st.recursive(st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(), st.lists)
)
def test_what_json_can_hold_is_rendered_as_it_always_was(value: object) -> None:
    """A prompt that changes is new work, which is paid again."""
    assert text_of(value) == (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


@given(st.timedeltas(timedelta(days=-100_000), timedelta(days=100_000)))
def test_a_duration_is_read_back(value: timedelta) -> None:
    assert pd.to_timedelta(text_of(value)) == value
