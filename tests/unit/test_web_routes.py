"""Declarations of routes: what cannot be declared, and what a declaration implies."""

from typing import Any

import pytest

from shared import errors
from shared.auth.tokens import NOBODY
from shared.errors import Problem
from shared.language import Words
from shared.schemas import Choice, PageQuery, Schema
from shared.storage.access import FRESH, Committed, Freshness, Hit, recent
from shared.web.routes import Answer, Call, Page, Public, Router


class Thing(Schema):
    name = Choice("thing")


SUMMARY = Words("事", "A thing")
EVERYONE = Public(max_age_seconds=5, stale_seconds=60)
GONE = Problem("gone", 409, "没了", "Gone")


def declare(name: str, **options: Any) -> Any:
    router = Router[None]("/test", SUMMARY)

    @router.route(name, SUMMARY, answer=Thing, **options)
    def view(_: Call[None]) -> Answer:
        return Answer({})

    return router.routes[0]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("GET /v1/things", {}),
        ("POST /v1/things", {}),
        ("GET /v1/things", {"public": EVERYONE, "scope": "things:read"}),
        ("GET /v1/things", {"public": EVERYONE, "roles": ("citizen",)}),
        ("POST /v1/things", {"public": EVERYONE}),
        ("PUT /v1/things", {"public": EVERYONE}),
        *(
            ("GET /v1/things", {"scope": "things:read", "roles": roles, "for_others": True})
            for roles in ((), ("merchant",), ("citizen", "merchant"))
        ),
        ("GET /v1/things", {"public": EVERYONE, "for_others": True}),
        ("BREW /v1/things", {"scope": "things:read"}),
        ("get /v1/things", {"scope": "things:read"}),
        ("GET v1/things", {"scope": "things:read"}),
        ("/v1/things", {"scope": "things:read"}),
    ],
)
def test_what_cannot_be_declared(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="things"):
        declare(name, **options)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"scope": "things:read", "roles": ("citizen",)}, True),
        ({"scope": "things:read", "roles": ("citizen",), "for_others": False}, False),
        ({"scope": "things:read", "roles": ("citizen", "merchant")}, False),
        ({"scope": "things:read", "roles": ("scenic_staff",)}, False),
        ({"scope": "things:read"}, False),
        ({"public": EVERYONE}, False),
    ],
)
def test_only_a_citizens_own_routes_are_for_others(options: dict[str, Any], expected: bool) -> None:
    assert declare("GET /v1/things", **options).for_others is expected


def test_a_route_is_declared_once() -> None:
    router = Router[None]("/test", SUMMARY)

    def view(_: Call[None]) -> Answer:
        return Answer({})

    declared = router.route("GET /v1/things", SUMMARY, answer=Thing, public=EVERYONE)
    declared(view)
    with pytest.raises(ValueError, match="declared twice"):
        declared(view)
    with pytest.raises(ValueError, match="declared twice"):
        Router[None]("/test", SUMMARY, router.routes * 2)


def test_the_method_says_what_a_request_needs_and_what_may_go_wrong() -> None:
    get = declare("GET /v1/things/{thing_id}", public=EVERYONE)
    post = declare("POST /v1/things", scope="things:write", problems=(GONE,))
    put = declare("PUT /v1/things/{thing_id}", scope="things:write")
    assert (get.status, post.status, put.status) == (200, 201, 200)
    assert (get.once, post.once, put.once) == (False, True, False)
    assert (get.conditional, post.conditional, put.conditional) == (False, False, True)
    assert errors.NOT_FOUND in get.problems
    assert errors.UNAUTHENTICATED not in get.problems
    assert errors.NOT_FOUND not in post.problems
    assert {GONE, errors.KEY_MISSING, errors.KEY_REUSED, errors.FORBIDDEN} <= set(post.problems)
    assert {errors.STALE, errors.PRECONDITION_MISSING} <= set(put.problems)
    assert errors.STALE not in post.problems
    for route in (get, post, put):
        assert {errors.BUSY, errors.INVALID} <= set(route.problems)
        assert len(set(route.problems)) == len(route.problems)


def test_what_a_route_does_not_declare_its_view_does_not_get() -> None:
    call = Call(None, NOBODY, "zh", {}, {}, {})
    for name in ("claim", "page", "revision"):
        with pytest.raises(TypeError):
            getattr(call, name)


def asked(call: Call[None], usual: Freshness = FRESH) -> Freshness:
    """What a call asks of a read, apart from whom to tell its age."""
    return call.freshness(usual)._replace(aged=None)


def test_freshness_is_the_usual_unless_the_caller_names_an_entry() -> None:
    call = Call(None, NOBODY, "zh", {}, {}, {})
    assert asked(call) == FRESH
    assert asked(call, recent(1.0)) == recent(1.0)
    call.at_least_seq = 7
    assert asked(call) == Freshness(0.0, 7)
    assert asked(call, recent(1.0)) == Freshness(1.0, 7)


def test_only_what_may_be_old_anyway_may_be_older_while_the_store_is_away() -> None:
    call = Call(None, NOBODY, "zh", {}, {}, {}, outage_seconds=60)
    assert asked(call) == FRESH
    assert asked(call, recent(1.0)) == recent(1.0, outage_seconds=60)


def test_an_answer_is_as_old_as_the_oldest_read_that_it_rests_on() -> None:
    call = Call(None, NOBODY, "zh", {}, {}, {})
    for seconds in (3.0, 9.0, 6.0):
        tell = call.freshness().aged
        assert tell is not None
        tell(seconds)
    assert call.age_seconds == 9.0


@pytest.mark.parametrize(
    ("public", "header"),
    [
        (Public(0), "no-store"),
        (Public(5, 60), "public, max-age=5, stale-while-revalidate=60, stale-if-error=60"),
    ],
)
def test_cache_control(public: Public, header: str) -> None:
    assert public.cache_control == header


@pytest.mark.parametrize(("found", "more"), [(0, False), (1, False), (2, False), (3, True)])
def test_a_page_tells_whether_the_list_goes_on(found: int, more: bool) -> None:
    page = Page(2, None, lambda position: f"behind {position[0]}")
    assert page.fetch == 3
    rows = [Hit(number, (number,)) for number in range(found)]  # type: ignore[arg-type]
    answer = page.answer(Committed(rows, 9), lambda hit: hit.document)
    assert answer.body == {
        "items": list(range(min(found, 2))),
        "after": "behind 1" if more else None,
    }
    assert answer.seq == 9


def test_a_query_of_pages_makes_a_list() -> None:
    assert declare("GET /v1/things", public=EVERYONE, query=PageQuery).paged
    assert not declare("GET /v1/things", public=EVERYONE).paged
