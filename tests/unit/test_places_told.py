"""The auditor of what people were told of their places: it says so where the journal disagrees."""

import orjson
import pytest

from shared.storage.entry import Entry, Write, encode
from tests.support.places_told import PlacesTold, contradictions


def entry(*rows: tuple[str, str, str]) -> bytes:
    """Entry 1 with these documents: (collection, key, state)."""
    writes = [
        Write(collection, key, number, 1, orjson.dumps({"state": state}))
        for number, (collection, key, state) in enumerate(rows, 1)
    ]
    return encode(Entry(1, "commit", "writer", "", 0, tuple(writes)))


HELD = ("bookings", "b1", "held")


@pytest.mark.parametrize(
    ("stands", "told", "refused", "said"),
    [
        ([HELD], {"b1": "held"}, set(), []),
        ([("bookings", "b1", "expired")], {"b1": "held"}, set(), []),
        ([], {"b1": "held"}, set(), ["b1 was told to be held and is lost"]),
        ([HELD], {"b1": "confirmed"}, set(), ["b1 was told to be confirmed and is held"]),
        (
            [("bookings", "b1", "expired")],
            {"b1": "confirmed"},
            set(),
            ["b1 was told to be confirmed and is expired"],
        ),
        ([HELD], {}, set(), ["b1 takes a place and nobody was told"]),
        ([HELD, ("sessions", "s", "open")], {"b1": "held"}, set(), []),
        ([("idempotency", "row", "-")], {}, {"row"}, ["row was refused and stands"]),
        ([("idempotency", "row", "-")], {}, {"other"}, []),
    ],
)
def test_what_contradicts_what_was_told_is_named(
    stands: list[tuple[str, str, str]], told: dict[str, str], refused: set[str], said: list[str]
) -> None:
    assert contradictions([entry(*stands)], PlacesTold("bookings", told, refused)) == said
