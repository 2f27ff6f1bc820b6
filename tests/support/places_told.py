"""What people were told of places that they took, held against the journal of their service.

told = PlacesTold("bookings")
...
assert contradictions(entries, told) == []
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import orjson

from shared.storage.entry import decode


@dataclass(slots=True)
class PlacesTold:
    """Documents of one collection by id, in the state that somebody was last told for good, and
    the idempotency rows of those who were refused for good.
    """

    collection: str
    states: dict[str, str] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class PlacesBooks:
    """How many places were ever taken, in how many entries."""

    taken: int
    entries: int


def contradictions(entries: Iterable[bytes], told: PlacesTold) -> list[str]:
    """Where the journal's end and what people were told differ, each in a sentence."""
    states: dict[str, str] = {}
    claimed: set[str] = set()
    for seq, stored in enumerate(entries, 1):
        for write in decode(stored, seq).writes:
            if write.collection == told.collection:
                states[write.key] = orjson.loads(write.body or b'{"state": "deleted"}')["state"]
            if write.collection == "idempotency":
                claimed.add(write.key)
    known = [
        f"{key} was told to be {said} and is {states.get(key, 'lost')}"
        for key, said in told.states.items()
        if states.get(key) not in _may_be(said)
    ]
    unknown = [f"{key} takes a place and nobody was told" for key in states.keys() - told.states]
    return [*known, *unknown, *(f"{row} was refused and stands" for row in told.refused & claimed)]


def _may_be(said: str) -> set[str]:
    # A hold that nobody confirmed ends by itself.
    return {said, "expired"} if said == "held" else {said}
