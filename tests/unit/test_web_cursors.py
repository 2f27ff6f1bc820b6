"""Cursors: opaque, and of no use anywhere but in the list that they were made for."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import INVALID, Refused
from shared.storage.access import Position
from shared.web.cursors import opened, sealed

KEY = b"k" * 32

positions = st.lists(
    st.text(max_size=40)
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False),
    max_size=4,
).map(tuple)


def assert_refused(cursor: str, listing: bytes, key: bytes = KEY) -> None:
    with pytest.raises(Refused) as refused:
        opened(cursor, listing, key)
    assert refused.value.problem is INVALID
    assert [error.field for error in refused.value.fields] == ["after"]


@pytest.mark.fuzz
@given(positions, st.binary(max_size=60))
def test_a_cursor_gives_back_its_position(position: Position, listing: bytes) -> None:
    cursor = sealed(position, listing, KEY)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", cursor)
    assert opened(cursor, listing, KEY) == position


@pytest.mark.fuzz
@given(positions, st.binary(max_size=20), st.binary(max_size=20))
def test_a_cursor_is_of_one_list(position: Position, one: bytes, other: bytes) -> None:
    cursor = sealed(position, one, KEY)
    if one != other:
        assert_refused(cursor, other)
    assert_refused(cursor, one, b"another key" * 3)


@pytest.mark.fuzz
@given(positions, st.data())
def test_a_changed_cursor_is_refused(position: Position, data: st.DataObject) -> None:
    cursor = sealed(position, b"list", KEY)
    # The last character may hold bits that do not count.
    at = data.draw(st.integers(0, len(cursor) - 2))
    letter = data.draw(st.sampled_from("AZaz09-_").filter(lambda other: other != cursor[at]))
    assert_refused(cursor[:at] + letter + cursor[at + 1 :], b"list")


@pytest.mark.fuzz
@given(st.text(max_size=200))
def test_nonsense_is_refused(text: str) -> None:
    assert_refused(text, b"list")
