"""Identity of work: what makes work the same, and what makes it new."""

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from pareta_batch.rows.identity import Message, digest, fingerprint, idempotency_key, row_key

MESSAGES: list[Message] = [{"role": "user", "content": "ä?"}]


def test_the_same_work_has_the_same_key_in_another_process() -> None:
    code = (
        "from pareta_batch.rows.identity import *\n"
        "work = fingerprint('ep_1', [{'role': 'user', 'content': 'ä?'}], {'temperature': 0})\n"
        "print(idempotency_key('b', 'k', work), end='')"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert there == idempotency_key("b", "k", fingerprint("ep_1", MESSAGES, {"temperature": 0}))


def test_model_messages_and_sampling_make_new_work_and_the_order_of_fields_does_not() -> None:
    works = [
        fingerprint("ep_1", MESSAGES, {"temperature": 0, "seed": 1}),
        fingerprint("ep_2", MESSAGES, {"temperature": 0, "seed": 1}),
        fingerprint("ep_1", [{"role": "user", "content": "b"}], {"temperature": 0, "seed": 1}),
        fingerprint("ep_1", MESSAGES, {"temperature": 1, "seed": 1}),
    ]
    assert len(set(works)) == len(works)
    assert works[0] == fingerprint("ep_1", MESSAGES, {"seed": 1, "temperature": 0})


def test_batch_row_and_work_make_different_keys_that_a_header_can_carry() -> None:
    keys = {
        idempotency_key(*parts) for parts in [("a", "bc", "w"), ("ab", "c", "w"), ("a", "bc", "v"), ("ä", "🎈", "w")]
    }
    assert len(keys) == 4
    assert all(key.isascii() and key.isprintable() for key in keys)


def test_a_row_is_its_id_or_else_all_of_its_values() -> None:
    assert row_key({"id": 7, "text": "x"}, "id") == "7"
    assert row_key({"a": 1, "b": 2}, None) == row_key({"b": 2, "a": 1}, None)
    assert row_key({"a": 1}, None) != row_key({"a": "1"}, None)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner)))
def test_any_json_value_has_a_digest_of_its_own_kind(value: object) -> None:
    assert digest(value) == digest(value)
    assert digest(value) != digest([value])
