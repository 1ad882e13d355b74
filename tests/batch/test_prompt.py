"""Prompt templates: columns in braces, and nothing else that could surprise."""

import math

import pytest

from pareta_batch.prompt import MissingValue, Prompt


def rendered(template: str, **row: object) -> str:
    return Prompt.parse(template).render(row)


def test_a_column_in_braces_stands_for_the_rows_value() -> None:
    assert rendered("Read {text}!", text="this") == "Read this!"


def test_braces_in_a_document_stay_as_they_are() -> None:
    document = "{text} {{x}} {0} %s {"
    assert rendered("{text}", text=document) == document


def test_doubled_braces_in_the_template_are_braces() -> None:
    assert rendered('Answer as {{"party": …}}: {text}', text="x") == 'Answer as {"party": …}: x'


@pytest.mark.parametrize("template", ["{", "}", "{}", "{ }", "{text!r}", "{text:>10}"])
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
