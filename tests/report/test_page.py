import base64
import hashlib
import subprocess
import sys
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pareta_report import Comparison, ComparisonContext, Page, failed_comparison, judge, render_page, write_page
from pareta_report.render.plot import unnamed
from tests.examples import share_of
from tests.report.batches import Facts, answer, four_answers, written
from tests.report.runs import right, run, scored

NOW = datetime(2026, 11, 23, 22, 15, tzinfo=UTC)
HOSTILE = "</pre></script></style></title><script>alert(1)</script><img src=x onerror=alert(2)>'\"`{{7*7}}\x00&amp;"


class Tags(HTMLParser):
    """Every tag of a page with its attributes, every text, and the scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def table(rows: list[dict[str, object]]) -> pd.DataFrame:
    return pd.DataFrame(rows, dtype=object)


def full_page(text: str = "plain") -> Page:
    """Return a page whose every text is the given one."""
    rows = [
        {f"column {text}": text, **answer(text, text, document=text * 30, licence=text)},
        {f"column {text}": text, **answer("2", None, error=text)},
    ]
    results = [scored(f"{i} {text}", right(90 - 30 * i, 100), predictions=[text] * 100) for i in range(2)]
    return Page(
        title=text,
        generated_at=NOW,
        batch=Facts(name=text, model=text, errors={text: 1}, output=text),
        answers=table(rows),
        id_column="id",
        truth_column="licence",
        comparisons=[
            judge(text, text, run(*results, id=text, eval_set_id=text)),
            failed_comparison(text, text, ValueError(text)),
        ],
        ran={text: text},
    )


def test_hostile_texts_stay_texts_wherever_they_stand() -> None:
    tags, harmless = Tags(render_page(full_page(HOSTILE))), Tags(render_page(full_page()))
    assert [name for name, _ in tags.tags] == [name for name, _ in harmless.tags]
    assert not [name for _, attributes in tags.tags for name in attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in tags.text


MARKUP = st.lists(
    st.sampled_from([*"<>/='\"&;{}%#-! \n", "script", "img src=x onerror=", "</pre>", "{{", "]]>", "x"])
).map("".join)


@settings(max_examples=share_of(40), deadline=None)
@given(text=(MARKUP | st.text()).map(lambda text: f"a{text}"))
def test_any_text_of_a_row_stays_a_text(text: str) -> None:
    def tags(said: str) -> list[tuple[str, list[str]]]:
        rows = [
            {f"column {said}": said, **answer(said, said, document=said * 30, licence=said)},
            {f"column {said}": said, **answer("2", None, error=said)},
        ]
        facts = Facts(name=said, model=said, errors={said: 1}, output=said, stopped=said, stopped_message=said)
        page = Page(
            said, NOW, batch=facts, answers=table(rows), id_column="id", truth_column="licence", ran={said: said}
        )
        return [(name, sorted(attributes)) for name, attributes in Tags(render_page(page)).tags]

    assert tags(text) == tags("a" * len(text))


def test_only_our_own_script_may_run() -> None:
    html = render_page(full_page(HOSTILE))
    script = html.rpartition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = [tag["content"] or "" for tag in Tags(html).named("meta") if "http-equiv" in tag]
    assert f"script-src 'sha256-{digest}';" in policy
    assert "default-src 'none'" in policy


def test_the_page_loads_nothing() -> None:
    html = render_page(full_page())
    tags = Tags(html)
    sources = [
        v or "" for _, attributes in tags.tags for k, v in attributes.items() if k in {"src", "href", "xlink:href"}
    ]
    assert all(source.startswith("#") for source in sources)
    assert not {"link", "iframe", "img", "object", "embed", "base"} & {name for name, _ in tags.tags}
    assert "url(" not in html.replace("url(#", "")


def test_every_link_within_the_page_has_its_target() -> None:
    tags = Tags(render_page(full_page()))
    ids = {attributes["id"] for _, attributes in tags.tags if "id" in attributes}
    assert {(tag["href"] or "")[1:] for tag in tags.named("a")} <= ids


def test_the_verdict_stands_before_everything_else() -> None:
    page = full_page()
    text = Tags(render_page(page)).text
    assert text.index(page.comparisons[0].verdict.sentence.split(".")[0]) < text.index("measured quality")


def test_every_row_stands_with_its_answer_truth_error_and_state() -> None:
    html = render_page(Page("t", NOW, answers=table(four_answers()), id_column="id", truth_column="licence"))
    rows = [tag for tag in Tags(html).named("article") if "data-state" in tag]
    assert [row["data-state"] for row in rows] == ["right", "wrong", "failed", "pending"]
    text = Tags(html).text
    for said in ("007", "ISC", "truth: MIT", "BadRequestError: too long", "not answered yet", "text of b"):
        assert said in text


def test_an_answer_that_looks_bad_says_so_and_the_others_say_nothing_of_it() -> None:
    rows = [answer("a", "MIT", flag="cut"), answer("b", "MIT")]
    text = Tags(render_page(Page("t", NOW, answers=table(rows), id_column="id"))).text
    assert text.count("· cut") == 1
    assert "flag" not in text


def test_measured_quality_is_shown_with_its_interval() -> None:
    text = Tags(render_page(Page("t", NOW, answers=table(four_answers()), truth_column="licence"))).text
    assert "measured quality 33.3" in text
    assert "1 right of 3; 1 failed, counted as wrong; 1 pending, not counted" in text


def test_without_a_truth_nothing_is_called_right_or_wrong() -> None:
    html = render_page(Page("t", NOW, answers=table(four_answers())))
    states = [tag["data-state"] for tag in Tags(html).named("article") if "data-state" in tag]
    assert states == ["answered", "answered", "failed", "pending"]
    assert "measured quality" not in html


def test_a_large_batch_shows_its_first_rows_and_says_how_many_more_there_are() -> None:
    rows = [answer(str(i), "MIT") for i in range(501)]
    html = render_page(
        Page("t", NOW, batch=Facts(total=501, output="all.parquet"), answers=table(rows), id_column="id")
    )
    assert html.count('class="row ') == 500
    assert "The first 500 rows are shown; 1 more row is in all.parquet ." in Tags(html).text


@pytest.mark.parametrize("kind", [".jsonl", ".csv", ".parquet"])
def test_only_the_answers_that_are_shown_are_read(tmp_path: Path, kind: str) -> None:
    file = written(tmp_path / f"answers{kind}", [answer(str(n), "MIT") for n in range(5)])
    html = render_page(Page("t", NOW, batch=Facts(total=1_000_000), answers=file, max_rows=3))
    assert html.count('class="row ') == 3
    assert "999,997 more rows are in" in Tags(html).text


def test_every_row_and_every_dollar_of_a_batch_is_accounted_for() -> None:
    batch = Facts(
        total=100,
        settled=60,
        failed=10,
        pending=30,
        errors={"APITimeoutError": 10},
        flagged={"cut": 3},
        not_paid=35,
        unknown=5,
        unknown_at_most_micro_usd=4_321,
        resent=2,
        replayed=1,
        replayed_at_most_micro_usd=777,
        billed_micro_usd=1_500_000,
        rest_micro_usd=750_000,
        changed=4,
        superseded_micro_usd=222_000,
        budget_usd=1.4,
        overspent_micro_usd=99_000,
        price_rise=20.5,
        refused=17,
        stopped="InsufficientCreditsError",
        stopped_message="out of credit",
    )
    text = Tags(render_page(Page("t", NOW, batch=batch))).text
    for said in (
        "answered 60 $1.50 billed",
        "flagged cut: kept, not requested again 3",
        "answered after an earlier request without a response 2",
        "whose receipt is lost 1 $0.000777 at most",
        "failed 10 APITimeoutError 10",
        "pending 30 about $0.75 expected",
        "without an answer, not billed 35",
        "possibly billed: a request had no response 5 $0.00432 at most",
        "edited or removed after processing 4 $0.22 billed in addition",
        "the highest receipt is 20.5 times the bound from the lowest ones",
        "above the budget of $1.40 $0.099 at most",
        "17 requests of this run were rate limited",
        "Stopped early: InsufficientCreditsError , out of credit",
    ):
        assert said in text


def test_the_purchases_beside_a_batch_are_added_to_its_cost() -> None:
    batch = Facts(billed_micro_usd=1_500_000, superseded_micro_usd=222_000)
    text = Tags(render_page(Page("t", NOW, batch=batch, purchases_micro_usd=300_000))).text
    assert "eval runs and smoke calls beside the batch, in all runs $0.30" in text
    assert "batch, eval runs and smoke calls together $2.02" in text
    assert "smoke calls" not in Tags(render_page(Page("t", NOW, batch=batch))).text


def test_a_bound_that_is_unknown_is_called_so() -> None:
    text = Tags(render_page(Page("t", NOW, batch=Facts(unknown=5, unknown_at_most_micro_usd=None)))).text
    assert "a request had no response 5 an unknown amount" in text
    assert "an unknown amount at most" not in text


def test_a_huge_document_is_cut_and_the_cut_is_said() -> None:
    html = render_page(Page("t", NOW, answers=table([answer("1", "MIT", document="long " * 10_000)])))
    assert len(html) < 100_000
    assert "30,000 more characters in the output file" in Tags(html).text


def test_a_failed_comparison_is_shown_beside_the_others() -> None:
    good = judge("good", None, run(scored("a", right(90, 100)), scored("b", right(20, 100))))
    text = Tags(
        render_page(Page("t", NOW, comparisons=[good, failed_comparison("bad", None, ValueError("no 'expected'"))]))
    ).text
    assert "winner: a" in text
    assert "failed bad There is nothing to compare: ValueError: no 'expected'." in text


@pytest.mark.parametrize(
    ("count", "sheet"), [pytest.param(8, "overview", marks=pytest.mark.long), (9, "overview broad")]
)
def test_an_overview_of_many_comparisons_is_printed_on_a_sheet_that_is_broad_enough(count: int, sheet: str) -> None:
    one = judge("t", None, run(scored("wren-1", right(90, 100)), scored("wren-2", right(80, 100))))
    sections = Tags(render_page(Page("t", NOW, comparisons=[one] * count))).named("section")
    assert [each["class"] for each in sections if "overview" in str(each.get("class"))] == [sheet]


def test_many_comparisons_get_an_overview_of_every_model() -> None:
    several = [
        judge(f"task {i}", None, run(scored("a", right(90, 100)), scored("b", right(20 + 35 * i, 100))))
        for i in range(3)
    ]
    text = Tags(render_page(Page("t", NOW, comparisons=several))).text
    assert "Models by comparison model leads task 0 task 1 task 2 a 3 90.0" in text
    assert "Every model" not in Tags(render_page(Page("t", NOW, comparisons=several[:1]))).text


def test_an_empty_page_is_still_a_page() -> None:
    assert "<h1>t</h1>" in render_page(Page("t", NOW))


def test_a_batch_of_nothing_is_shown() -> None:
    nothing = Facts(total=0, settled=0, failed=0, pending=0, errors={}, billed_micro_usd=None, wall_s=0.0, output="")
    assert "0 of 0" in render_page(Page("t", NOW, batch=nothing, answers=table([answer("1", "x")]).head(0)))


@pytest.mark.long
def test_the_same_page_is_the_same_bytes_in_any_process() -> None:
    code = (
        "import hashlib; from tests.report.test_page import full_page; from pareta_report import render_page;"
        "print(hashlib.sha256(render_page(full_page()).encode()).hexdigest())"
    )
    elsewhere = subprocess.run(
        [sys.executable, "-c", code],
        # The texts of this process have other hashes: their order in a set differs.
        env={"PYTHONHASHSEED": "1", "MPLCONFIGDIR": matplotlib.get_configdir()},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert elsewhere == hashlib.sha256(render_page(full_page()).encode()).hexdigest()


def test_the_page_is_written_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    answers = written(tmp_path / "answers.jsonl", four_answers())
    path = write_page(Page("t", NOW, answers=answers, id_column="id"), tmp_path / "deep" / "report.html")
    assert path.read_text(encoding="utf-8").endswith("</html>")
    assert [entry.name for entry in path.parent.iterdir()] == ["report.html"]


def test_a_report_that_cannot_be_made_leaves_the_old_one(tmp_path: Path) -> None:
    path = write_page(Page("old", NOW), tmp_path / "report.html")
    with pytest.raises(ValueError, match="no column"):
        write_page(Page("new", NOW, answers=table([{"id": 1}])), path)
    assert "old" in path.read_text(encoding="utf-8")


def test_importing_the_report_loads_none_of_the_heavy_libraries() -> None:
    code = (
        "import sys, pareta_report; print([m for m in ('pandas', 'scipy', 'matplotlib', 'httpx') if m in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def decided(name: str = "t", **more: object) -> Comparison:
    labels = ["billing", "sales"]
    rows = [{"input": f"ticket {i}", "expected": labels[i % 2]} for i in range(400)]
    results = [
        scored("top", right(360, 400), kind="frontier", cost=4_000, predictions=["billing"] * 400),
        scored("good", right(364, 400), cost=53, predictions=["sales"] * 400),
        scored("poor", right(100, 400), cost=20),
    ]
    return judge(name, None, run(*results, total_cost_micro_usd=53_250), ComparisonContext(rows=rows, **more))  # type: ignore[arg-type]


def test_the_decision_stands_first_then_its_reasons_and_the_details_are_folded() -> None:
    comparison = decided(slices=("language", {i: ("de", "en")[i % 2] for i in range(400)}))
    assert comparison.recommendation is not None
    html = render_page(Page("t", NOW, comparisons=[comparison]))
    text = Tags(html).text
    decision = " ".join(comparison.recommendation.sentence.split())
    assert text.count(decision) == 1
    assert text.index("use good") < text.index(decision) < text.index("Worse: poor.") < text.index("95 % interval")
    parts = [attributes for name, attributes in Tags(html).tags if name == "details"]
    assert parts
    assert not [attributes for attributes in parts if "open" in attributes]
    for part in (
        "good and top by label (2)",
        "good and top by language (2)",
        "Confusion matrix and macro F1",
        f"Where good and top disagree ({comparison.disagreeing} rows)",
    ):
        assert part in text


def test_dollars_are_written_as_dollars_everywhere() -> None:
    html = render_page(Page("t", NOW, batch=Facts(billed_micro_usd=53_250), comparisons=[decided()]))
    assert "µ$" not in html
    assert "micro" not in Tags(html).text
    assert Tags(html).text.count("$0.0533") >= 3


def test_a_cost_without_an_interval_says_why() -> None:
    text = Tags(render_page(Page("t", NOW, comparisons=[decided()]))).text
    assert "Costs have no interval: the service reports one mean for all rows and no tokens by row." in text


def test_tables_that_may_scroll_are_reached_by_keyboard_and_named_once_each() -> None:
    several = [decided(f"task {i}") for i in range(2)]
    tags = Tags(render_page(Page("t", NOW, batch=Facts(), comparisons=several)))
    scrolling = [attributes for _, attributes in tags.tags if "scroll" in (attributes.get("class") or "").split()]
    assert len(scrolling) == html_tables(tags)
    assert {(each["role"], each["tabindex"]) for each in scrolling} == {("region", "0")}
    names = [each["aria-label"] for each in scrolling]
    assert len(set(names)) == len(names)


def html_tables(tags: Tags) -> int:
    return len(tags.named("table"))


def test_of_many_comparisons_the_overview_comes_first_and_each_is_folded() -> None:
    many = [decided(f"task {i}") for i in range(5)]
    html = render_page(Page("t", NOW, comparisons=many))
    text = Tags(html).text
    assert text.index("Models by comparison") < text.index("use good")
    assert text.count("Plot and 3 models") == text.count("Why As good") == 5


def test_a_point_without_room_for_its_name_is_listed_below_the_plot() -> None:
    crowd = [scored(f"model-with-a-long-name-{i:02}", right(150 + i % 2, 200), cost=100 + i % 3) for i in range(40)]
    comparison = judge("t", None, run(*crowd))
    html = render_page(Page("t", NOW, comparisons=[comparison]))
    for shape, size in (("wide", "wide"), ("narrow", "slim")):
        left_out = unnamed(comparison, "narrow" if shape == "narrow" else "wide")
        assert left_out
        listed = html.partition(f'<span class="plot-names {size}">')[2].partition("</span>")[0]
        assert all(name in listed for name in left_out)


def test_the_latency_of_a_batch_is_shown() -> None:
    rows = [answer(str(n), "MIT", latency_ms=100.0 * n) for n in range(1, 21)]
    text = Tags(render_page(Page("t", NOW, batch=Facts(total=20), answers=table(rows), id_column="id"))).text
    assert "latency p50 / p95 1.1\u00a0s / 1.9\u00a0s 20 rows" in text.replace(
        "1.1 s / 1.9 s", "1.1\u00a0s / 1.9\u00a0s"
    )


def test_a_batch_with_labels_has_a_confusion_matrix_and_an_interval_of_macro_f1() -> None:
    said = ["MIT"] * 9 + ["ISC"] + ["ISC"] * 8 + ["MIT"] * 2
    rows = [answer(str(n), each, licence="MIT" if n < 10 else "ISC") for n, each in enumerate(said)]
    text = Tags(render_page(Page("t", NOW, answers=table(rows), truth_column="licence"))).text
    assert "Confusion matrix true label, by answer of the batch isc mit isc 8 2 mit 1 9" in text
    assert "macro F1 0.850 95 % interval 0.6" in text
