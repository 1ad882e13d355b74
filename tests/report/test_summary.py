import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pareta_report import batch_measured_quality, failed_comparison, judge, markdown_summary, markdown_text
from pareta_report.render.text import duration, interval, listing, money, percent, points, unit_cost
from tests.report.batches import Facts, answer
from tests.report.runs import right, run, scored


def test_the_summary_has_the_verdict_the_models_and_the_batch() -> None:
    import pandas as pd

    comparison = judge("licences", None, run(scored("a", right(95, 100)), scored("b", right(20, 100))))
    quality = batch_measured_quality(pd.DataFrame([answer("1", "MIT")]), "licence")
    text = markdown_summary([comparison], Facts(), quality)
    assert text.startswith("## Batch ")
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


def test_amounts_are_rounded_to_cents_and_below_ten_cents_to_three_digits() -> None:
    assert money(1_239_999) == "$1.24"
    assert money(866_710) == "$0.87"
    assert money(12_345_678_901) == "$12,345.68"
    assert money(53_250) == "$0.0533"
    assert money(9_999) == "$0.01"
    assert money(0) == "$0.00"
    assert money(None) == "–"


def test_unit_costs_keep_the_digits_that_cents_would_lose() -> None:
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


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![x](https://evil.example/x.png)",
    "[x](javascript:alert(1))",
    "[x]: https://evil.example",
    "<https://evil.example>",
    "https://evil.example and www.evil.example and WWW.evil.example and me@evil.example",
    "a | b || c\n|---|---|\n| d |",
    "# heading",
    "- list",
    "12) list",
    "3. list",
    "+ list",
    "> quote",
    "text\n===",
    "---",
    "    code",
    "```\ncode\n```",
    "`code` ``more`` *a* _b_ **c** ~~d~~ $e$",
    "&lt;b&gt; &#60; \\< \\\\",
    "one\u2028two\u2029three\x85four\x0bfive\x00six\u202eseven",
]
ALPHABET = st.sampled_from([*"<>[]()!*_`|#-+=.~$&\\:/@\"' \n\t1aw", "://", "www.", "\u2028", "&amp;", "<b>"])
MARKUP = st.lists(ALPHABET, max_size=12).map("".join)
# What renders what Prefect shows also makes links of bare addresses, which this renderer does not: looked for as text.
BARE_LINK = re.compile(r"(?i)(?<!\\)://|www\.|(?<!\\)@")


def rendered(markdown: str) -> tuple[set[str], str]:
    """Render Markdown as Prefect does and return the kinds of markup found and the text."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown)
    inline = [child for token in tokens for child in token.children or ()]
    return {token.type for token in (*tokens, *inline)}, "".join(child.content for child in inline)


def in_one_line(text: str) -> str:
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_is_shown_as_it_is(text: str) -> None:
    kinds, shown = rendered(markdown_text(text))
    assert kinds <= {"paragraph_open", "inline", "text", "text_special", "paragraph_close"}
    assert shown == in_one_line(text)
    assert not BARE_LINK.search(markdown_text(text))


@given(MARKUP | st.text())
def test_any_text_is_shown_as_it_is(text: str) -> None:
    for around in ("{}", "- {}", "## Batch {}", "> {}", "a {} b"):
        kinds, shown = rendered(around.format(markdown_text(text)))
        assert not kinds & {"html_inline", "html_block", "link_open", "image", "code_inline", "fence", "em_open"}
        assert in_one_line(text) in unescape(shown) or in_one_line(text) in shown
    assert not BARE_LINK.search(markdown_text(text))


@given(MARKUP | st.text(max_size=8))
def test_a_table_keeps_its_cells_whatever_a_model_is_called(name: str) -> None:
    comparison = judge("c", None, run(scored(f"m{name}", right(95, 100)), scored("b", right(20, 100))))
    (table,) = [part.strip() for part in markdown_summary([comparison]).split("\n\n") if part.startswith("| model")]
    header, _, *rows = table.split("\n")
    cells = {len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in (header, *rows)}
    assert (len(rows), len(cells)) == (2, 1)
