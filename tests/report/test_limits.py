"""How hard a batch pressed, drawn over time."""

from datetime import UTC, datetime
from xml.etree import ElementTree

from pareta_batch.rate_limit.history import Limits
from pareta_report import Page, render_page
from pareta_report.render.limits_chart import limits_over_time
from tests.report.batches import Facts

LEARNED = (Limits(0, 64, None), Limits(0.5, 64, 320.5), Limits(2.0, 64, 201.0))


def test_both_bounds_are_drawn_with_their_highest_value() -> None:
    drawn = ElementTree.fromstring(limits_over_time(LEARNED, until_s=30))
    texts = [each.text for each in drawn.iter() if each.tag.endswith("text")]
    assert texts == ["calls in flight, 30 s", "64", "0", "calls per second, 30 s", "320.5", "0"]


def test_where_nothing_was_learned_nothing_is_drawn() -> None:
    assert limits_over_time(LEARNED[:1], until_s=30) == ""


def test_the_page_of_a_batch_shows_what_the_service_allowed() -> None:
    page = Page(title="t", generated_at=datetime(2026, 11, 24, tzinfo=UTC), batch=Facts(limits=LEARNED))
    assert "Limits of the service over time" in render_page(page)
    assert "calls per second" in render_page(page)
