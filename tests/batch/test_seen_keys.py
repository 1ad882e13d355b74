"""Keys of rows: counted exactly, whatever they contain, also when they exceed the memory of the table."""

from collections import Counter, deque
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareta_batch.errors import DatasetError
from pareta_batch.rows import seen_keys
from pareta_batch.rows.seen_keys import SeenKeys

# Few different ones, so that equal ones meet; NUL, surrogates and letters that differ by case are all distinct.
KEYS = st.sampled_from(["a", "A", "a\0", "a\0b", "", "\ud800", "\udfff", "é", "e\u0301", "1", "1.0", " a"])


@given(keys=st.lists(KEYS | st.text(max_size=3)))
def test_each_key_is_counted_and_its_first_place_is_kept(keys: list[str]) -> None:
    times: Counter[str] = Counter()
    first: dict[str, str] = {}
    with SeenKeys() as seen:
        for number, key in enumerate(keys):
            times[key] += 1
            place = first.setdefault(key, f"line {number}")
            assert seen.add(key, f"line {number}") == (times[key], place)


def test_keys_that_exceed_the_memory_are_counted_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_keys, "CACHE_KIB", 16)
    with SeenKeys() as seen:
        for again in (1, 2):
            for number in range(5_000):
                assert seen.add(f"ticket-{number * 7919 % 5_000}", "line 1") == (again, "line 1")


def test_a_full_disk_is_an_error_of_the_dataset() -> None:
    with SeenKeys() as seen:
        seen._db.execute("PRAGMA max_page_count = 8")  # as a disk with room for eight pages
        with pytest.raises(DatasetError, match=r"temporary file of its keys: .*full; free space, or set TMPDIR"):
            consume(seen.add(f"ticket-{number}", "line 1") for number in range(5_000))


def consume(results: Iterable[object]) -> None:
    deque(results, maxlen=0)
