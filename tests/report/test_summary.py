from pareta_report import batch_measured_quality, failed_comparison, judge, markdown_summary
from pareta_report.wording import duration, interval, listing, money, percent, points, unit_cost
from tests.report.batches import Facts, answer
from tests.report.runs import right, run, scored


def test_the_summary_has_the_verdict_the_models_and_the_batch() -> None:
    import pandas as pd

    comparison = judge("licences", None, run(scored("a", right(95, 100)), scored("b", right(20, 100))))
    quality = batch_measured_quality(pd.DataFrame([answer("1", "MIT")]), "licence")
    text = markdown_summary([comparison], Facts(), quality, title="Demo")
    assert text.startswith("# Demo\n")
    assert "a is better than b" in text
    assert "| a | 95.0\u00a0% |" in text
    assert "2 of 4 rows answered by ep\\_1, 1 failed, 1 pending" in text
    assert "measured quality 100.0" in text


def test_a_hostile_name_is_no_markup() -> None:
    hostile = "<img src=x> | [a](b) `c`\n# d"
    text = markdown_summary([failed_comparison(hostile, None, ValueError(hostile))], Facts(name=hostile))
    assert "<img" not in text.replace("\\<img", "")
    assert "\n# d" not in text
    assert "[a]" not in text.replace("\\[a\\]", "")


def test_an_empty_summary_is_empty() -> None:
    assert markdown_summary().strip() == ""


def test_totals_are_floored_to_cents_and_small_ones_stay_exact() -> None:
    assert money(1_239_999) == "$1.23"
    assert money(12_345_678_901) == "$12,345.67"
    assert money(9_999) == "9,999\u00a0µ$"
    assert money(0) == "0\u00a0µ$"
    assert money(None) == "–"


def test_unit_costs_keep_the_digits_that_floored_cents_would_lose() -> None:
    assert [unit_cost(cost) for cost in (0, 0.4, 40, 120, 3_200, None)] == [
        "$0.00",
        "$0.0004",
        "$0.04",
        "$0.12",
        "$3.20",
        "–",
    ]


def test_shares_points_and_times_read_as_people_write_them() -> None:
    assert percent(0.9349) == "93.5\u00a0%"
    assert points(-0.0349) == "−3.5"
    assert interval(0.1, 0.25) == "10.0 to 25.0\u00a0%"
    assert [duration(s) for s in (0.24, 75, 7_260)] == ["0.2 s", "1 min 15 s", "2 h 1 min"]


def test_long_lists_say_how_many_more_there_are() -> None:
    assert listing(["a"]) == "a"
    assert listing(["a", "b", "c"]) == "a, b and c"
    assert listing(list("abcdef")) == "a, b, c, d and 2 others"
