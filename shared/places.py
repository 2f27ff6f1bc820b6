"""Places of one kind that are known beforehand, read from a file and never journalled.

    places = read(REFERENCE / "gansu_attractions.json", divisions)
    places.search("莫高", {"prefecture": "620900"}, limit=21)

A row has `id`, `name_zh`, `name_en` and the `division` of its county; what else a kind has is in
`body`. There are a few dozen of a kind, so that looking at all of them is no cost.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from shared.divisions import Divisions
from shared.errors import NOT_FOUND, Refused
from shared.storage.access import Position
from shared.storage.catalogue import Body


@dataclass(frozen=True, slots=True)
class Place:
    """One place; `body` is the row with its `prefecture`. `position` is where a list has it."""

    id: str
    body: Body
    position: Position


class Places:
    """All places of a kind, in the order of their file."""

    def __init__(self, rows: Iterable[Body], divisions: Divisions) -> None:
        self._all = [
            Place(row["id"], divisions.placed(row), (rank,)) for rank, row in enumerate(rows)
        ]
        self._by_id = {place.id: place for place in self._all}

    def require(self, place_id: str) -> Place:
        """The place of that id. Raises Refused(NOT_FOUND)."""
        place = self._by_id.get(place_id)
        if place is None:
            raise Refused(NOT_FOUND)
        return place

    def search(
        self,
        text: str,
        members: Mapping[str, str],
        *,
        limit: int,
        after: Position | None = None,
        order: Callable[[Place], Position] = lambda place: place.position,
    ) -> list[Place]:
        """Places whose names hold every word of `text` and that have these members, by `order`."""
        words = text.casefold().split()
        found = [
            Place(place.id, place.body, order(place))
            for place in self._all
            if all(place.body[name] == value for name, value in members.items())
            and all(word in _names(place.body) for word in words)
        ]
        found.sort(key=_by_position)
        return [place for place in found if after is None or place.position > after][:limit]


def _by_position(place: Place) -> Position:
    return place.position


def _names(body: Body) -> str:
    return f"{body['name_zh']}\n{body['name_en']}".casefold()


def read(path: Path, divisions: Divisions) -> Places:
    """The places of a JSON file, an array of rows."""
    return Places(orjson.loads(path.read_bytes()), divisions)
