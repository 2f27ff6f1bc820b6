"""Requests: what is read of a body before anybody knows whose it is."""

import pytest

from shared.errors import INVALID, MALFORMED, Refused
from shared.web import requests

HEADERS = {
    "Idempotency-Key": (
        requests.idempotency_key,
        "a b",
        "has to be 1 to 128 visible ASCII characters",
    ),
    "If-Match": (requests.matched_revision, "7", "has to be one ETag, as it was read"),
    "Commit-Seq": (requests.commit_seq, "-1", "has to be from 0 to 9007199254740991"),
}


class Name(str):
    """A member's name that counts how often it is compared with another."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other: object) -> bool:
        Name.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


DEEP = 500
LONG = b"n" * 60


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b'{"c":1,"c":2}', "c"),
        (b'{"a":1,"b":{"c":1,"d":2,"c":3}}', "b.c"),
        (b'{"lines":[{"quantity":1},{"quantity":1,"quantity":2}]}', "lines.1.quantity"),
        (b'[[1,{"a":1}],{"":1,"":1}]', "1."),
        (b'{"a":{"b":1,"b":{}},"a":1}', "a"),
        (b"[" * DEEP + b'{"c":1,"c":2}' + b"]" * DEEP, ("0." * DEEP)[:100]),
        (b'{"%b":{"%b":1,"%b":2}}' % (LONG, LONG, LONG), ("n" * 60 + "." + "n" * 60)[:100]),
    ],
    ids=["on top", "within", "in a list", "no name", "the outer one", "deep", "long"],
)
def test_a_member_that_stands_twice_is_named_by_its_path(body: bytes, path: str) -> None:
    with pytest.raises(Refused) as refused:
        requests.json_value(body)
    assert refused.value.problem is INVALID
    assert [error.field for error in refused.value.fields] == [path]


@pytest.mark.parametrize("depth", [1, 100, 950, 990, 1000, 1020, 1030, 5000])
def test_what_is_nested_behind_it_fails_nothing(depth: int) -> None:
    body = b'[{"a":1,"a":1},' + b"[" * depth + b"]" * depth + b"]"
    with pytest.raises(Refused) as refused:
        requests.json_value(body)
    assert refused.value.problem in {INVALID, MALFORMED}


@pytest.mark.parametrize(
    ("body", "line", "column"),
    [(b"", 1, 1), (b'{"a":1,}', 1, 7), (b'{\n  "a": 1\n  "b": 2\n}', 3, 3)],
    ids=["nothing", "a comma too many", "a comma too few"],
)
def test_a_text_that_is_no_json_is_told_where(body: bytes, line: int, column: int) -> None:
    with pytest.raises(Refused) as refused:
        requests.json_value(body)
    assert refused.value.problem is MALFORMED
    assert refused.value.detail == {"line": line, "column": column}


def test_finding_it_takes_no_longer_than_reading_does() -> None:
    pairs = [(Name(f"member {number}"), None) for number in range(2_000)]
    Name.compared = 0
    with pytest.raises(ValueError, match="member 1999"):
        requests._object([*pairs, (Name("member 1999"), None)])
    # Each against each would be millions; those whose hashes collide are a few.
    assert Name.compared < 10 * len(pairs)


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_that_is_wrong_is_told_what_is_right(header: str) -> None:
    read, value, told = HEADERS[header]
    with pytest.raises(Refused) as refused:
        read({f"HTTP_{header.upper().replace('-', '_')}": value})
    assert [(error.field, error.en) for error in refused.value.fields] == [(header, told)]
