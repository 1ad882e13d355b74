"""Prompt templates: columns in braces, and nothing else that could surprise."""

import math
from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareta_batch.rows.prompt_template import MissingValue, Prompt, jinja_columns


def rendered(template: str, **row: object) -> str:
    return Prompt.parse(template).render(row)


def test_a_column_in_braces_stands_for_the_rows_value() -> None:
    assert rendered("Read {text}!", text="this") == "Read this!"


def test_braces_in_a_document_stay_as_they_are() -> None:
    document = "{text} {{x}} {0} %s {"
    assert rendered("{text}", text=document) == document


def test_doubled_braces_in_the_template_are_braces() -> None:
    assert rendered('Answer as {{"party": …}}: {text}', text="x") == 'Answer as {"party": …}: x'


@pytest.mark.parametrize(
    "template",
    ["{", "}", "{}", "{ }", "{text!r}", "{text:>10}", "{ticket", "ticket}", "{a{b}}", "{% if a %}", "{# a #}"],
)
def test_what_is_no_template_is_refused_with_a_hint(template: str) -> None:
    with pytest.raises(ValueError, match=r"^prompt: .*; write \{\{ and \}\}"):
        Prompt.parse(template)


def test_values_that_are_no_text_are_shown_as_json() -> None:
    assert rendered("{a} {b}", a={"ü": [1, None]}, b=True) == '{"ü": [1, null]} true'


@pytest.mark.parametrize("row", [{}, {"text": None}, {"text": math.nan}])
def test_a_row_without_the_value_is_missing_it(row: dict[str, object]) -> None:
    with pytest.raises(MissingValue) as caught:
        Prompt.parse("{text}").render(row)
    assert caught.value.column == "text"


def test_columns_are_named_once_in_order() -> None:
    prompt = Prompt.parse("{b} {a} {b}")
    assert prompt.columns == ("b", "a")
    assert prompt.unknown(["a", "c"]) == ("b",)


@given(st.lists(st.tuples(st.text(), st.sampled_from(["", "a", "b c", "ü", "x.y", "0"])), max_size=6))
def test_a_template_is_read_as_it_was_written(pieces: list[tuple[str, str]]) -> None:
    escaped = [(text.replace("{", "{{").replace("}", "}}"), column) for text, column in pieces]
    template = "".join(text + (f"{{{column}}}" if column else "") for text, column in escaped)
    row = {column: f"<{column}>" for _, column in pieces}
    assert rendered(template, **row) == "".join(text + (f"<{column}>" if column else "") for text, column in pieces)


@given(st.text("{}a!:% \n", max_size=8))
def test_what_python_cannot_read_as_a_format_is_refused_and_the_rest_is_read_alike(template: str) -> None:
    try:
        theirs = list(Formatter().parse(template))
    except ValueError:
        theirs = None
    try:
        mine = Prompt.parse(template)
    except ValueError:
        return
    assert theirs is not None
    assert mine.columns == tuple(dict.fromkeys(column for _, column, _, _ in theirs if column is not None))


def test_an_error_names_line_and_character() -> None:
    with pytest.raises(ValueError, match=r"^system_prompt: a single '\}' at line 2, character 5 \('\} done'\); write"):
        Prompt.parse("{text}\nis: } done", "system_prompt")


@pytest.mark.parametrize(
    ("template", "loose", "found"),
    [
        ("{{ ticket }}", False, ("ticket",)),
        ("{{- ticket -}} {{ticket|upper}} {{ row.ticket }}", False, ("ticket",)),
        ("{{ticket}}", False, ()),
        ("{{ticket}}", True, ("ticket",)),
        ('{{ "ticket": 1 }} {{ other }}', True, ()),
        ("{ticket}", True, ()),
    ],
)
def test_columns_in_jinja_are_noticed(template: str, loose: bool, found: tuple[str, ...]) -> None:
    assert jinja_columns(template, ["id", "ticket"], loose=loose) == found
