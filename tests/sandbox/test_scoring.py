"""Scores and intervals, on plain values."""

import pytest

from pareta_sandbox.models.scoring import field_f1, label, macro_f1, measure, normal, parsed_object, score


@pytest.mark.parametrize("answer", ["MIT", " mit ", '"MIT".', "`MIT`"])
def test_case_space_and_punctuation_make_no_difference(answer: str) -> None:
    assert score("exact_match", answer, "MIT").score == 1


@pytest.mark.parametrize("answer", ["MIT-0", "", "M I T", "the MIT"])
def test_another_answer_is_wrong(answer: str) -> None:
    assert score("exact_match", answer, "MIT").score == 0


def test_an_object_with_one_value_is_a_label() -> None:
    assert label({"licence": "MIT"}) == label("MIT") == "mit"


@pytest.mark.parametrize(
    ("answered", "expected", "f1"),
    [
        ({"a": "1", "b": "2"}, {"a": "1", "b": "2"}, 1.0),
        ({"a": "1"}, {"a": "1", "b": "2"}, 2 / 3),
        ({"a": "1", "b": "3"}, {"a": "1", "b": "2"}, 0.5),
        ({"a": None}, {"a": None}, 1.0),
        ({"a": "x"}, {"a": None}, 0.0),
        ({}, {"a": "1"}, 0.0),
        ({"a": 1}, {"a": "1"}, 1.0),
    ],
)
def test_field_f1_weighs_what_is_missing_and_what_is_too_much(
    answered: dict[str, object], expected: dict[str, object], f1: float
) -> None:
    assert field_f1(answered, expected) == pytest.approx(f1)


def test_macro_f1_gives_every_label_the_same_weight() -> None:
    truths = ["a"] * 8 + ["b"] * 2
    assert macro_f1(truths, truths) == 1
    assert macro_f1(truths, ["a"] * 10) == pytest.approx((16 / 18 + 0) / 2)


def test_json_is_found_in_a_fence() -> None:
    assert parsed_object('```json\n{"a": 1}\n```') == {"a": 1}
    assert parsed_object("none") is None
    assert parsed_object("{broken}") is None


def test_the_interval_holds_the_mean_and_repeats() -> None:
    answers, expected = ["a"] * 7 + ["b"] * 3, ["a"] * 10
    once, again = measure("exact_match", answers, expected), measure("exact_match", answers, expected)
    assert (once.low, once.high) == (again.low, again.high)
    assert once.low < once.mean == 0.7 < once.high


def test_more_rows_make_the_interval_narrower() -> None:
    few = measure("exact_match", ["a", "b"] * 5, ["a"] * 10)
    many = measure("exact_match", ["a", "b"] * 50, ["a"] * 100)
    assert many.high - many.low < few.high - few.low


def test_the_interval_of_macro_f1_is_about_macro_f1() -> None:
    truths = ["a"] * 30 + ["b"] * 10
    answers = ["a"] * 30 + ["b"] * 5 + ["a"] * 5
    quality = measure("macro_f1", answers, truths)
    assert quality.mean == pytest.approx(macro_f1(truths, answers))
    assert quality.low < quality.mean < quality.high
    assert quality.exact_match == pytest.approx(35 / 40)


def test_numbers_and_lists_compare_by_their_json() -> None:
    assert normal(5) == normal("5")
    assert normal(["a", "b"]) == normal(["a", "b"])
