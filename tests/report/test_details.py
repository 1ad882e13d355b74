"""The details of a comparison: the pair that decides, its disagreements, results in parts, labels and latency."""

import numpy as np
import pytest

from pareta_report import Comparison, ComparisonContext, judge
from pareta_report.comparison.confusion import confusion_matrix, macro_f1
from pareta_report.comparison.slices import MAX_SLICES
from tests.report.runs import items, right, run, scored

LABELS = ("billing", "sales", "shipping")


def rows(n: int) -> list[dict[str, object]]:
    return [{"input": {"text": f"ticket {i}"}, "expected": LABELS[i % 3]} for i in range(n)]


def compared(n: int = 300, **known: object) -> Comparison:
    """Compare three models on labelled rows; `good` and `top` are alike, `best` is ahead of both by luck."""
    results = []
    for model, kind, wrong, cost in (("good", "open", 5, 40), ("top", "frontier", 6, 4_000), ("poor", "open", 2, 10)):
        said = [LABELS[(i + (i % wrong == 0)) % 3] for i in range(n)]
        scores = [float(said[i] == LABELS[i % 3]) for i in range(n)]
        results.append(scored(model, scores, kind=kind, cost=cost, predictions=said))
    return judge("x", "x", run(*results), ComparisonContext(rows=rows(n), **known))  # type: ignore[arg-type]


def test_the_disagreements_are_those_of_the_pair_one_decides_on_with_their_true_count() -> None:
    comparison = compared()
    assert comparison.recommendation is not None
    assert comparison.deciding is not None
    one, other = comparison.deciding
    assert other == comparison.baseline == "top"
    flips = sum((i % 5 == 0) != (i % 6 == 0) for i in range(300))
    assert (one, comparison.disagreeing, len(comparison.disagreements)) == ("good", flips, min(flips, 100))
    first = comparison.disagreements[0]
    assert first.expected == LABELS[first.idx % 3]
    assert {first.best_score, first.other_score} == {0.0, 1.0}


def test_without_a_baseline_the_best_model_is_set_against_the_one_that_may_be_as_good() -> None:
    results = [scored("a", right(90, 100)), scored("b", right(40, 100)), scored("c", right(89, 100)[::-1])]
    assert judge("x", None, run(*results)).deciding == ("a", "c")


def test_one_model_alone_has_no_pair() -> None:
    comparison = judge("x", None, run(scored("a", right(9, 10))), ComparisonContext(rows=rows(10)))
    assert (comparison.deciding, comparison.disagreeing, comparison.slicings) == (None, None, ())


def test_results_stand_by_label_by_group_and_by_the_column_that_was_named() -> None:
    languages = {i: ("de", "en")[i % 2] for i in range(300)}
    comparison = compared(groups={i: str(i // 30) for i in range(300)}, slices=("language", languages))
    assert [slicing.by for slicing in comparison.slicings] == ["label", "group", "language"]
    by_label, by_group, by_language = comparison.slicings
    assert [part.value for part in by_label.slices] == list(LABELS)
    assert sum(part.n for part in by_group.slices) == sum(part.n for part in by_language.slices) == 300
    for slicing in comparison.slicings:
        gained = sum(part.gained for part in slicing.slices)
        lost = sum(part.lost for part in slicing.slices)
        assert gained + lost == comparison.disagreeing


def test_a_slice_has_the_quality_and_interval_of_its_rows_alone() -> None:
    (by_label,) = compared().slicings
    part = by_label.slices[0]
    wrong = [i % 5 == 0 for i in range(300) if LABELS[i % 3] == part.value]
    assert part.scores[0].quality == pytest.approx(1 - np.mean(wrong))
    assert part.scores[0].ci_low < part.scores[0].quality < part.scores[0].ci_high
    assert part.ci_low is not None
    assert part.difference == pytest.approx(part.scores[0].quality - part.scores[1].quality)


def test_of_many_groups_the_largest_are_shown_and_the_others_counted() -> None:
    comparison = compared(groups={i: str(i // 3) for i in range(300)})
    by_group = comparison.slicings[1]
    assert (len(by_group.slices), by_group.left_out) == (MAX_SLICES, 100 - MAX_SLICES)


@pytest.mark.parametrize("expected", [{"vendor": "A", "total": 3}, ["a"], None], ids=["an object", "a list", "nothing"])
def test_what_is_no_label_makes_no_matrix(expected: object) -> None:
    asked: list[dict[str, object]] = [{"input": f"{i}", "expected": expected} for i in range(50)]
    results = scored("a", right(40, 50)), scored("b", right(30, 50))
    comparison = judge("x", None, run(*results), ComparisonContext(rows=asked))
    assert (comparison.confusions, comparison.slicings) == ((), ())


def test_free_text_that_is_different_in_each_row_is_no_label() -> None:
    asked: list[dict[str, object]] = [{"input": f"{i}", "expected": f"summary {i}"} for i in range(40)]
    comparison = judge(
        "x", None, run(scored("a", right(30, 40)), scored("b", right(20, 40))), ComparisonContext(rows=asked)
    )
    assert comparison.confusions == ()


def test_a_matrix_counts_what_was_said_for_each_label() -> None:
    matrix = confusion_matrix("m", [("a", "a")] * 8 + [("a", "b")] * 2 + [("b", "b")] * 9 + [("b", None), ("b", "c")])
    assert matrix is not None
    assert (matrix.labels, matrix.said) == (("a", "b"), ("a", "b", "other", "no answer"))
    assert matrix.counts == ((8, 2, 0, 0), (0, 9, 1, 1))
    assert matrix.macro_f1 == pytest.approx((16 / 18 + 18 / 22) / 2)
    assert matrix.ci_low < matrix.macro_f1 < matrix.ci_high


def test_many_labels_are_shown_as_the_most_frequent_and_one_for_the_others() -> None:
    pairs: list[tuple[str, str | None]] = [(f"l{i:02}", f"l{i:02}") for i in range(30) for _ in range(30 - i)]
    matrix = confusion_matrix("m", pairs)
    assert matrix is not None
    assert (len(matrix.labels), matrix.labels[-1], matrix.macro_f1, matrix.ci_high) == (13, "other", 1.0, 1.0)
    assert sum(map(sum, matrix.counts)) == len(pairs)


@pytest.mark.parametrize(
    ("labels", "accuracy", "n"),
    [
        (2, 0.9, 20),
        *(pytest.param(*each, marks=pytest.mark.long) for each in ((3, 0.7, 50), (5, 0.9, 60), (5, 0.98, 200))),
    ],
)
def test_the_interval_of_macro_f1_covers_the_truth(labels: int, accuracy: float, n: int) -> None:
    rng = np.random.default_rng(8)
    shares = rng.dirichlet(np.full(labels, 8.0))

    def drawn(count: int) -> list[tuple[str, str | None]]:
        truth = rng.choice(labels, count, p=shares)
        wrong = (truth + rng.integers(1, labels, count)) % labels
        said = np.where(rng.random(count) < accuracy, truth, wrong)
        return [(str(one), str(other)) for one, other in zip(truth, said, strict=True)]

    truth = macro_f1(drawn(200_000))
    made = [confusion_matrix("m", drawn(n)) for _ in range(100)]
    held = [each.ci_low <= truth <= each.ci_high for each in made if each is not None and len(each.labels) == labels]
    assert np.mean(held) >= 0.935 - 2 * (0.95 * 0.05 / len(held)) ** 0.5


def test_rows_of_one_group_make_the_interval_of_macro_f1_wider() -> None:
    pairs: list[tuple[str, str | None]] = [("a", "a"), ("b", "b"), ("a", "b")] * 50
    alone, together = confusion_matrix("m", pairs), confusion_matrix("m", pairs, samples=15)
    assert alone is not None
    assert together is not None
    assert together.ci_high - together.ci_low > 2 * (alone.ci_high - alone.ci_low)


def test_latency_is_told_where_the_service_tells_it_by_row() -> None:
    result = scored("a", right(90, 100))
    for place, item in enumerate(items(result)):
        item["latency_ms"] = 10 * (place + 1)
    known, unknown = judge("x", None, run(result, scored("b", right(50, 100)))).scores
    assert known.latency_p50_ms == pytest.approx(505)
    assert known.latency_p95_ms == pytest.approx(950.5)
    assert (unknown.latency_p50_ms, unknown.latency_p95_ms) == (None, None)
