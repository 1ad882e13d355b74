"""Rate limits in headers: OpenAI's form is read, anything else is unknown and noted."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareta_client import ChatCompletion, RateLimitBudget, RateLimitError, RateLimits
from pareta_client.core.rate_limits import MAX_RESET_S, duration_of, rate_limits_from_headers
from pareta_client.models.chat import ReplyMetadata

TOLD = {
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-remaining-requests": "59",
    "x-ratelimit-reset-requests": "1s",
    "x-ratelimit-limit-tokens": "150000",
    "x-ratelimit-remaining-tokens": "149984",
    "x-ratelimit-reset-tokens": "6m0s",
}


def test_both_budgets_are_read() -> None:
    assert rate_limits_from_headers(TOLD) == RateLimits(
        RateLimitBudget(60, 59, 1.0), RateLimitBudget(150_000, 149_984, 360.0)
    )


def test_without_the_headers_there_is_none() -> None:
    assert rate_limits_from_headers({"x-request-id": "r", "x-ratelimit-reset": "12"}) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("20ms", 0.02),
        ("1h2m3.5s", 3723.5),
        ("2m59.56s", 179.56),
        ("1d", 86_400.0),
        ("0", 0.0),
        (" 1.5 ", 1.5),
        ("", None),
        ("soon", None),
        ("-1s", None),
        ("1s later", None),
        ("1e3", None),
        ("nan", None),
        ("inf", None),
        ("١s", None),
        ("1700000000", None),
        ("9" * 400, None),
        ("2026-11-26T08:00:00Z", None),
    ],
)
def test_a_reset_is_a_duration(text: str, seconds: float | None) -> None:
    assert duration_of(text) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize("name", sorted(TOLD))
@pytest.mark.parametrize("value", ["", "many", "-3", "1.5x", "10, 20", "9" * 30, "[1]"])
def test_an_invalid_value_makes_its_budget_unknown_and_is_noted(name: str, value: str) -> None:
    notes: list[str] = []
    limits = rate_limits_from_headers({**TOLD, name: value}, notes)
    assert limits is not None
    is_requests = name.endswith("requests")
    assert (limits.requests if is_requests else limits.tokens) is None
    assert (limits.tokens if is_requests else limits.requests) is not None
    assert name in notes[0]


def test_a_value_that_a_proxy_repeats_counts_once() -> None:
    assert rate_limits_from_headers({name: f"{value}, {value}" for name, value in TOLD.items()}) == (
        rate_limits_from_headers(TOLD)
    )


def test_more_remaining_than_the_limit_is_a_full_bucket() -> None:
    limits = rate_limits_from_headers({**TOLD, "x-ratelimit-remaining-requests": "99"})
    assert limits is not None
    assert limits.requests == RateLimitBudget(60, 60, 1.0)


@given(st.dictionaries(st.sampled_from(sorted(TOLD)), st.text()))
def test_any_text_gives_values_in_range_or_none(headers: dict[str, str]) -> None:
    limits = rate_limits_from_headers(headers)
    for budget in (limits.requests, limits.tokens) if limits else ():
        if budget is not None:
            assert 0 <= budget.remaining <= budget.limit
            assert 0 <= budget.reset_s <= MAX_RESET_S


def test_the_limits_survive_pickling_in_an_answer_and_in_an_error() -> None:
    limits = rate_limits_from_headers(TOLD)
    answer = ChatCompletion.model_validate({"choices": []}).with_metadata(ReplyMetadata(rate_limits=limits))
    error = RateLimitError("slow down", status_code=429)
    error.rate_limits = limits
    assert pickle.loads(pickle.dumps(answer)).rate_limits == limits
    assert pickle.loads(pickle.dumps(error)).rate_limits == limits
