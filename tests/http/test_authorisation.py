"""Who is answered what: every route of every service, asked by every kind of caller.

What is expected stands in authorisation.csv, one row a route, and nowhere else: a route without a
row fails here, and so does a row without a route. Everything but the caller is right in these
requests (tests/support/scenes), so each refusal is for the caller; and what is answered, a refusal
or not, has no member that its schema does not declare.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from shared.schemas import Choice, Flag, Items, Schema, Text, Whole
from shared.web.common import LiveSchema
from shared.web.routes import Binary
from tests.support.matrix import (
    ANOTHERS,
    CALLERS,
    COLUMNS,
    DECLARED,
    RIGHT,
    TABLE,
    Place,
    owner,
    places,
    rows,
    stranger,
)
from tests.support.scenes import SCENES, Scene
from tests.support.served import Served, json_of
from tests.support.tokens import EVERYONE

ROWS = {(row["service"], row["route"]): row for row in rows()}
PLACES = places()

each_place = pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)


class ErrorSchema(Schema):
    field = Text(200)
    message = Text(200)


class RefusalSchema(Schema):
    """All that a refusal of a caller may say."""

    type = Text(100)
    title = Text(100)
    status = Whole(400, 499)
    request_id = Text(64)
    errors = Items(ErrorSchema, 10, required=False)
    scope = Text(100, required=False)
    roles = Items(Choice(*EVERYONE), 10, required=False)
    for_others = Flag(required=False)


@pytest.fixture
def served(tmp_path: Path, place: Place) -> Iterator[Served]:
    """The place's service, alone: what one caller did is in nobody's way in another test."""
    with place.house.open(tmp_path) as served:
        yield served


# The table


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    known = {(place.house.name, place.name) for place in PLACES}
    missing = [place.declared for place in PLACES if (place.house.name, place.name) not in ROWS]
    assert missing == [], f"write rows for these into {TABLE.name}, with what each is answered"
    assert sorted(ROWS.keys() - known) == [], "no route is of these names"
    assert len(ROWS) == len(rows()), "a route stands there twice"
    assert tuple(rows()[0]) == COLUMNS


@each_place
def test_a_row_says_what_the_route_declares(place: Place) -> None:
    row = ROWS[place.house.name, place.name]
    assert {name: row[name] for name in DECLARED} == place.declared


def test_the_table_is_in_the_order_of_the_routes() -> None:
    assert list(ROWS) == [(place.house.name, place.name) for place in PLACES]


# The callers


@each_place
def test_each_caller_is_answered_as_the_table_says(served: Served, place: Place) -> None:
    row = ROWS[place.house.name, place.name]
    if place.route is None:
        for column, token in CALLERS.items():
            answer = _page(served, place, token(served, place))
            assert (column, str(answer.status_code)) == (column, row[column])
        assert _page(served, place, None).status_code == int(row[RIGHT])
        return
    scene = _scene(served, place)
    refusals_first = sorted(CALLERS, key=lambda column: not row[column].startswith("4"))
    for column in refusals_first:
        if not row[column].startswith("4") and place.route.method != "GET":
            scene = _scene(served, place)
        answer = scene.ask(CALLERS[column](served, place), owner(place))
        assert_expected(answer, row, column, place)


@each_place
def test_anothers_is_not_found_and_ones_own_is_there(served: Served, place: Place) -> None:
    """In every role that the route is for. That one's own works after another was refused shows
    that the refusals left nothing behind.
    """
    row = ROWS[place.house.name, place.name]
    if place.route is None:
        return
    if not place.roles:
        assert_expected(_scene(served, place).ask(None, ""), row, RIGHT, place)
    for role in place.roles:
        scene = _scene(served, place)
        if row[ANOTHERS] != "-" and role != "operator":
            answer = scene.ask(served.token(stranger(role)), owner(place))
            assert_expected(answer, row, ANOTHERS, place)
        whose = owner(place, role)
        answer = scene.ask(served.token(whose), whose)
        assert_expected(answer, row, RIGHT, place)
        if row[ANOTHERS] == "own" and role != "operator":
            assert json_of(answer)["items"] != [], "or there was nothing that could be shown"


def assert_expected(answer: TestResponse, row: dict[str, str], column: str, place: Place) -> None:
    expected = row[column]
    if expected == "own":
        assert answer.status_code == 200, (column, answer.text)
        assert json_of(answer)["items"] == []
    else:
        assert (column, str(answer.status_code)) == (column, expected), answer.text
    assert_closed(answer, place)


def assert_closed(answer: TestResponse, place: Place) -> None:
    """The answer has no member that is not declared."""
    assert place.route is not None
    if answer.status_code >= 400:
        assert RefusalSchema().validate(json_of(answer)) == {}
    elif isinstance(place.route.answer, Binary):
        assert answer.content_type in place.route.answer.media_types
    else:
        assert place.route.answer().validate(json_of(answer)) == {}


def _scene(served: Served, place: Place) -> Scene:
    assert place.route is not None
    scene = SCENES[place.house.name].set(served, place.route)
    served.clock.pass_monotonic(2)
    return scene


def _page(served: Served, place: Place, token: str | None) -> TestResponse:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return served.client.get(place.name.partition(" ")[2], headers=headers)


# That the test can fail


def test_a_member_too_many_is_seen() -> None:
    assert LiveSchema().validate({"status": "live", "disk": "/"}) != {}
    refusal = {"type": "/problems/x", "title": "x", "status": 403, "request_id": "x" * 8}
    assert RefusalSchema().validate(refusal) == {}
    assert RefusalSchema().validate({**refusal, "account": "citizen-1"}) != {}
