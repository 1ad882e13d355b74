"""Three-way merge of a deployment: whatever a person changed on the server is kept, all else follows the file."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pareta_cli.setup_merge import NOTHING, Path, flat, merge, nested, record_of

names = st.sampled_from("abc")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
states = st.dictionaries(st.tuples(names, names), st.integers(0, 3), max_size=6)


@given(states, states)
def test_a_server_that_nobody_changed_follows_the_file(old: dict[Path, Any], new: dict[Path, Any]) -> None:
    assert merge(new, old, record_of(old), reset=False) == (new, ())


@given(states, states)
def test_a_file_that_did_not_change_leaves_the_server_alone(file: dict[Path, Any], server: dict[Path, Any]) -> None:
    merged, kept = merge(file, server, record_of(file), reset=False)
    assert merged == server
    assert {each.path for each in kept} == {path for path in {**file, **server} if file.get(path) != server.get(path)}


@given(states, states, states)
def test_a_reset_makes_the_server_as_the_file(
    file: dict[Path, Any], server: dict[Path, Any], old: dict[Path, Any]
) -> None:
    assert merge(file, server, record_of(old), reset=True) == (file, ())


@given(states, states)
def test_without_a_record_the_file_adds_and_replaces_nothing(file: dict[Path, Any], server: dict[Path, Any]) -> None:
    assert merge(file, server, {}, reset=False)[0] == {**file, **server}


@given(states, states, states)
def test_a_second_set_up_changes_nothing(file: dict[Path, Any], server: dict[Path, Any], old: dict[Path, Any]) -> None:
    merged, kept = merge(file, server, record_of(old), reset=False)
    again, still_kept = merge(file, merged, record_of(file), reset=False)
    assert again == merged
    assert set(map(str, still_kept)) == set(map(str, kept))


@given(json_values)
def test_a_value_is_split_and_put_together_again(value: Any) -> None:
    assert nested(flat(value, ("x",)), ("x",)) == value


def test_a_path_without_values_has_nothing() -> None:
    assert nested({("a", "b"): 1}, ("x",)) is NOTHING


def test_a_value_above_wins_over_values_below_it() -> None:
    assert nested({("x",): 5, ("x", "a"): 1}, ("x",)) == 5
    assert nested({("x", "a"): None, ("x", "a", "b"): 1}, ("x",)) == {"a": None}
    assert nested({("x",): {}, ("x", "a"): 1}, ("x",)) == {"a": 1}
