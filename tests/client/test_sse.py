"""Server-sent events, however they are cut on the way."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as some

from pareta_client.core.sse import Comment, Event, EventDecoder, LineTooLong


def decoded(*pieces: bytes) -> list[Event | Comment]:
    decoder = EventDecoder()
    items = [item for piece in pieces for item in decoder.feed(piece)]
    return items + list(decoder.end())


def test_an_event_has_a_name_and_its_data() -> None:
    assert decoded(b'event: progress\ndata: {"pct": 1}\n\n') == [Event("progress", '{"pct": 1}')]


def test_an_event_without_a_name_is_a_message() -> None:
    assert decoded(b"data: a\n\n") == [Event("message", "a")]


def test_a_name_lasts_for_one_event() -> None:
    assert decoded(b"event: x\ndata: a\n\ndata: b\n\n") == [Event("x", "a"), Event("message", "b")]


def test_data_on_several_lines_is_one_event() -> None:
    assert decoded(b"data: a\ndata: b\n\n") == [Event("message", "a\nb")]


def test_comments_are_given_where_they_stand() -> None:
    assert decoded(b"data: a\n\n: pareta-billed-micro-usd 5\n\ndata: [DONE]\n\n") == [
        Event("message", "a"),
        Comment("pareta-billed-micro-usd 5"),
        Event("message", "[DONE]"),
    ]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_each_kind_of_line_end_is_understood(end: bytes) -> None:
    assert decoded(b"data: a" + end + end + b"data: b" + end + end) == [Event("message", "a"), Event("message", "b")]


def test_an_event_is_given_as_soon_as_it_is_complete() -> None:
    decoder = EventDecoder()
    assert list(decoder.feed(b"data: a\n")) == []
    assert list(decoder.feed(b"\nda")) == [Event("message", "a")]


def test_the_last_event_counts_even_if_its_end_was_forgotten() -> None:
    assert decoded(b"data: [DONE]") == [Event("message", "[DONE]")]


def test_ids_and_unknown_fields_change_nothing() -> None:
    assert decoded(b"id: 7\nretry: 3\nwhatever\ndata: a\n\n") == [Event("message", "a")]


def test_only_one_space_after_the_colon_is_taken_away() -> None:
    assert decoded(b"data:a\n\ndata:  b\n\n") == [Event("message", "a"), Event("message", " b")]


def test_a_line_without_end_is_not_collected_for_ever() -> None:
    decoder = EventDecoder(max_line_bytes=100)
    assert list(decoder.feed(b"x" * 90)) == []
    with pytest.raises(LineTooLong):
        list(decoder.feed(b"x" * 20))


STREAM = 'event: p\r\ndata: {"é": 1}\n\n: c\ndata: b\rdata: c\n\n\ndata: [DONE]\n\n'.encode()


@given(cuts=some.lists(some.integers(0, len(STREAM)), max_size=20))
def test_it_does_not_matter_where_the_bytes_are_cut(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[start:end] for start, end in pairwise(places)]
    assert decoded(*pieces) == decoded(STREAM)


@given(pieces=some.lists(some.binary(max_size=40) | some.sampled_from([b"data: ", b"\n\n", b"\r", b"event:", b":"])))
def test_any_bytes_are_survived_and_cut_alike(pieces: list[bytes]) -> None:
    assert decoded(*pieces) == decoded(b"".join(pieces))
