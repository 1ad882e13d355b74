import csv
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pareta_report import (
    Comparison,
    answers_table,
    artifact_rows,
    batch_measured_quality,
    batch_table,
    comparison_table,
    failed_comparison,
    judge,
    write_exports,
)
from pareta_report.render.text import money
from tests.report.batches import Facts, answer, four_answers, written
from tests.report.runs import right, run, scored

KINDS = [".csv", ".jsonl", ".parquet"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_format_gives_the_same_table(tmp_path: Path, kind: str) -> None:
    table = answers_table(written(tmp_path / f"answers{kind}", four_answers()))
    assert table["id"].tolist() == ["007", "b", "c", "d"]
    assert artifact_rows(table[["answer", "error", "attempts", "billed_micro_usd"]]) == [
        {"answer": "MIT", "error": None, "attempts": 1, "billed_micro_usd": 15},
        {"answer": "ISC", "error": None, "attempts": 1, "billed_micro_usd": 15},
        {"answer": None, "error": "BadRequestError: too long", "attempts": 1, "billed_micro_usd": None},
        {"answer": None, "error": None, "attempts": 0, "billed_micro_usd": None},
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_that_looks_like_something_else_stays_a_text(tmp_path: Path, kind: str) -> None:
    rows = [answer("1", "NA", licence="NA"), answer("2", "2024-01-01", licence="1e3")]
    table = answers_table(written(tmp_path / f"answers{kind}", rows))
    assert table["answer"].tolist() == ["NA", "2024-01-01"]
    assert table["licence"].tolist() == ["NA", "1e3"]


def test_a_missing_column_is_named_with_those_there_are(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    path.write_text("id,answer\n1,MIT\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"answers\.csv has no column 'error'; it has: id, answer"):
        answers_table(path)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"use \.csv, \.jsonl or \.parquet"):
        answers_table(tmp_path / "answers.xlsx")


def test_a_table_given_is_not_changed() -> None:
    given = pd.DataFrame(four_answers(), dtype=object)
    before = given.copy()
    answers_table(given)
    pd.testing.assert_frame_equal(given, before)


def test_measured_quality_counts_failed_rows_as_wrong_and_pending_ones_not_at_all() -> None:
    quality = batch_measured_quality(pd.DataFrame(four_answers(), dtype=object), "licence")
    assert quality is not None
    assert (quality.n, quality.right, quality.unanswered, quality.accuracy) == (3, 1, 1, 1 / 3)
    assert (quality.failed, quality.pending) == (1, 1)
    assert 0 < quality.ci_low < 1 / 3 < quality.ci_high < 1


def test_an_answer_is_right_up_to_case_and_blanks() -> None:
    rows = [answer("1", " mit\n"), answer("2", "MIT License")]
    quality = batch_measured_quality(answers_table(pd.DataFrame(rows)), "licence")
    assert quality is not None
    assert quality.right == 1


def test_macro_f1_weighs_every_true_class_the_same() -> None:
    pairs = [("MIT", "MIT")] * 3 + [("MIT", "ISC")] + [("ISC", "ISC")] + [("ISC", "gibberish")]
    rows = [answer(str(i), said, licence=truth) for i, (truth, said) in enumerate(pairs)]
    quality = batch_measured_quality(pd.DataFrame(rows), "licence")
    assert quality is not None
    assert quality.macro_f1 == pytest.approx((6 / 7 + 1 / 2) / 2)


def test_rows_without_a_truth_are_not_measured() -> None:
    rows = [answer("1", "MIT"), answer("2", "MIT", licence=None)]
    quality = batch_measured_quality(pd.DataFrame(rows, dtype=object), "licence")
    assert quality is not None
    assert quality.n == 1
    assert batch_measured_quality(pd.DataFrame(rows[1:], dtype=object), "licence") is None


def test_a_truth_column_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ValueError, match="no column 'truth'"):
        batch_measured_quality(pd.DataFrame(four_answers(), dtype=object), "truth")


def test_the_comparison_table_has_a_row_per_model_and_says_how_it_stands() -> None:
    comparison = judge(
        "x", "t", run(scored("a", right(95, 100)), scored("b", right(94, 100)), scored("c", right(20, 100)))
    )
    table = comparison_table([comparison, failed_comparison("y", None, TimeoutError("too slow"))])
    assert table["verdict"].tolist()[:3] == ["highest score", "not distinguishable", "worse"]
    assert table["model"].isna().tolist() == [False, False, False, True]
    assert "too slow" in table["verdict"].iloc[3]


def test_the_comparison_table_has_the_word_for_every_model_beside_the_verdict_of_its_pair() -> None:
    models = (("same", right(1_900, 2_000)), ("near", right(1_895, 2_000)), ("worse", right(400, 2_000)))
    results = [scored(name, scores) for name, scores in models]
    comparison = judge("x", "t", run(*results, scored("big", right(1_900, 2_000), kind="frontier")))
    assert comparison.recommendation is not None
    table = comparison_table([comparison]).set_index("model")
    words = {standing.model: standing.word for standing in comparison.recommendation.standings}
    assert table["standing"].to_dict() == words | {"big": "baseline"}
    assert words["same"] == "as good"
    assert words["worse"] == "worse"
    assert table["against_baseline"].to_dict() == {pair.model: pair.verdict for pair in comparison.against_baseline} | {
        "big": "baseline"
    }


def test_an_empty_comparison_table_has_its_columns() -> None:
    assert {"comparison", "model", "quality", "mean_cost_micro_usd"} <= set(comparison_table([]).columns)


def test_the_batch_table_takes_one_batch_or_several() -> None:
    assert len(batch_table(Facts())) == 1
    table = batch_table([Facts(), Facts(name="other", billed_micro_usd=None, wall_s=0)])
    assert table["rows_per_s"].tolist()[0] == 1.5
    assert artifact_rows(table)[1]["billed_micro_usd"] is None
    assert artifact_rows(table)[1]["rows_per_s"] is None


def test_artifact_rows_are_strict_json() -> None:
    odd = pd.DataFrame(
        {
            "a": [np.int64(1), math.nan, math.inf],
            "b": [pd.NA, pd.Timestamp("2024-01-01"), pd.NaT],
            "c": [{"x": np.float64(2)}, [1], {1}],
        }
    )
    rows = json.loads(json.dumps(artifact_rows(odd), allow_nan=False))
    assert [row["a"] for row in rows] == [1, None, None]
    assert rows[0]["c"] == {"x": 2.0}
    assert len(artifact_rows(odd, max_rows=2)) == 2


def test_the_page_stands_beside_the_same_as_json_and_csv(tmp_path: Path) -> None:
    comparison = judge("x", "task", run(scored("a", right(90, 100)), scored("b", right(50, 100))))
    failed = failed_comparison("y", None, ValueError("no rows"))
    as_json, as_csv = write_exports([comparison, failed], tmp_path / "report.html")
    back = [Comparison.model_validate(each) for each in json.loads(as_json.read_text())]
    assert back == [comparison, failed]
    lines = list(csv.DictReader(as_csv.read_text().splitlines()))
    assert [(line["comparison"], line["model"], line["verdict"]) for line in lines[:2]] == [
        ("x", "a", "winner"),
        ("x", "b", "worse"),
    ]
    assert "no rows" in lines[2]["verdict"]


def test_small_prices_are_written_without_an_exponent() -> None:
    assert [money(amount) for amount in (14.3, 0.5, 313, 0, 2_500_000)] == [
        *("$0.0000143", "$0.0000005", "$0.000313", "$0.00", "$2.50"),
    ]
