"""Places that are known beforehand: found by name and by where they lie, in a stable order."""

import pytest

from shared.errors import NOT_FOUND, Refused
from shared.places import Places
from tests.support.served import all_divisions

ROWS = [
    {"id": "mogao", "name_zh": "莫高窟", "name_en": "Mogao Caves", "division": "620982"},
    {"id": "yulin", "name_zh": "榆林窟", "name_en": "Yulin Caves", "division": "620922"},
    {"id": "bridge", "name_zh": "中山桥", "name_en": "Zhongshan Bridge", "division": "620102"},
]


@pytest.fixture
def places() -> Places:
    return Places(ROWS, all_divisions())


@pytest.mark.parametrize(
    ("text", "members", "found"),
    [
        ("", {}, ["mogao", "yulin", "bridge"]),
        ("窟", {}, ["mogao", "yulin"]),
        ("CAVES", {}, ["mogao", "yulin"]),
        ("caves 莫高", {}, ["mogao"]),
        ("", {"prefecture": "620900"}, ["mogao", "yulin"]),
        ("", {"division": "620922"}, ["yulin"]),
        ("bridge", {"prefecture": "620900"}, []),
    ],
)
def test_text_and_place_narrow_a_search(
    places: Places, text: str, members: dict[str, str], found: list[str]
) -> None:
    assert [place.id for place in places.search(text, members, limit=10)] == found


def test_a_list_continues_behind_a_position_whatever_its_order(places: Places) -> None:
    for order in (lambda place: place.position, lambda place: (place.id, *place.position)):
        whole = places.search("", {}, limit=10, order=order)
        first = places.search("", {}, limit=2, order=order)
        rest = places.search("", {}, limit=2, order=order, after=first[-1].position)
        assert [place.id for place in first + rest] == [place.id for place in whole]


def test_a_place_knows_its_prefecture_and_an_unknown_one_is_not_found(places: Places) -> None:
    assert places.require("mogao").body["prefecture"] == "620900"
    with pytest.raises(Refused) as refused:
        places.require("nowhere")
    assert refused.value.problem is NOT_FOUND
