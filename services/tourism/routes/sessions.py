"""Ticket products and their sessions over HTTP: calendars for everyone, changes for staff."""

from services.tourism.actions import calendars, closing
from services.tourism.actions import sessions as actions
from services.tourism.actions.keepers import PUBLIC
from services.tourism.actions.sessions import Capacity
from services.tourism.domain import CLOSED, OVER
from services.tourism.routes.parts import CALENDAR, STAFF, Tourism, keeper_of, new_router
from services.tourism.schemas import tickets as schemas
from services.tourism.schemas.tickets import (
    calendar_json,
    capacity_json,
    opening_json,
    own_session_json,
    pattern_of,
    product_json,
    session_json,
)
from shared.language import Words
from shared.schemas import PageQuery
from shared.storage.access import Committed
from shared.web.routes import Answer, Call

router = new_router()


@router.route(
    "GET /v1/attractions/{attraction_id}/products",
    Words("景区的门票", "The ticket products of an attraction"),
    public=CALENDAR,
    query=PageQuery,
    answer=schemas.ProductsSchema,
)
def list_products(call: Call[Tourism]) -> Answer:
    found = actions.list_products(
        call.parts.database,
        call.parts.attractions.require(call.path["attraction_id"]).id,
        limit=call.page.fetch,
        after=call.page.after,
        freshness=call.freshness(PUBLIC),
    )
    return call.page.answer(found, lambda hit: product_json(hit.document, call.language))


@router.route(
    "GET /v1/products/{product_id}",
    Words("一种门票", "One ticket product"),
    public=CALENDAR,
    answer=schemas.ProductSchema,
)
def read_product(call: Call[Tourism]) -> Answer:
    found = actions.read_product(
        call.parts.database, call.path["product_id"], call.freshness(PUBLIC)
    )
    return Answer(product_json(found.value, call.language), found.seq, found.value.revision)


@router.route(
    "GET /v1/products/{product_id}/calendar",
    Words("一个月的余票", "What is left in a month"),
    public=CALENDAR,
    query=schemas.MonthQuery,
    answer=schemas.CalendarSchema,
)
def read_calendar(call: Call[Tourism]) -> Answer:
    product, month = call.path["product_id"], call.query["month"]
    found = calendars.read_calendar(
        call.parts.database,
        product,
        [f"{month}-{day:02d}" for day in range(1, 32)],
        call.parts.clock.now_ms(),
        call.freshness(PUBLIC),
    )
    return Answer(calendar_json(product, month, found.value), found.seq)


@router.route(
    "GET /v1/products/{product_id}/sessions",
    Words("一天的场次", "The sessions of a day"),
    public=CALENDAR,
    query=schemas.DayQuery,
    answer=schemas.SessionsSchema,
)
def list_sessions(call: Call[Tourism]) -> Answer:
    found = calendars.list_sessions(
        call.parts.database,
        call.path["product_id"],
        call.query["day"],
        call.parts.clock.now_ms(),
        call.freshness(PUBLIC),
    )
    items = [session_json(offer.session.body, offer.available) for offer in found.value]
    return Answer({"items": items}, found.seq)


@router.route(
    "GET /v1/sessions/{session_id}",
    Words("一个场次", "One session"),
    public=CALENDAR,
    answer=schemas.SessionSchema,
)
def read_session(call: Call[Tourism]) -> Answer:
    found = calendars.read_session(
        call.parts.database,
        call.path["session_id"],
        call.parts.clock.now_ms(),
        call.freshness(PUBLIC),
    )
    session = found.value.session
    return Answer(session_json(session.body, found.value.available), found.seq, session.revision)


# For staff


@router.route(
    "GET /v1/attractions/{attraction_id}/sessions",
    Words("景区一天的全部场次与计数", "All sessions of a day at an attraction, with their counts"),
    scope="sessions:read",
    roles=STAFF,
    query=schemas.OwnDayQuery,
    answer=schemas.OwnSessionsSchema,
)
def list_own_sessions(call: Call[Tourism]) -> Answer:
    found = calendars.list_own_sessions(
        call.parts.database,
        keeper_of(call),
        call.path["attraction_id"],
        call.query["day"],
        call.parts.clock.now_ms(),
        limit=call.page.fetch,
        after=call.page.after,
        freshness=call.freshness(),
    )
    return call.page.answer(found, own_session_json)


@router.route(
    "POST /v1/products/{product_id}/sessions",
    Words("按规律开放场次", "Open sessions by a pattern"),
    scope="sessions:write",
    roles=STAFF,
    body=schemas.PatternSchema,
    answer=schemas.OpeningSchema,
)
def open_sessions(call: Call[Tourism]) -> Answer:
    made = actions.open_sessions(
        call.parts.database,
        keeper_of(call),
        call.path["product_id"],
        call.claim,
        pattern_of(call.body),
    )
    return Answer(opening_json(made.value), made.seq, made.value.revision)


@router.route(
    "GET /v1/sessions/{session_id}/capacity",
    Words("一个场次的容量", "The capacity of a session"),
    scope="sessions:read",
    roles=STAFF,
    answer=schemas.CapacitySchema,
)
def read_capacity(call: Call[Tourism]) -> Answer:
    return _capacity_answer(
        call,
        actions.read_capacity(
            call.parts.database, keeper_of(call), call.path["session_id"], call.freshness()
        ),
    )


@router.route(
    "PUT /v1/sessions/{session_id}/capacity",
    Words("修改一个场次的容量", "Change the capacity of a session"),
    scope="sessions:write",
    roles=STAFF,
    body=schemas.NewCapacitySchema,
    answer=schemas.CapacitySchema,
    problems=(CLOSED,),
)
def change_capacity(call: Call[Tourism]) -> Answer:
    return _capacity_answer(
        call,
        actions.change_capacity(
            call.parts.database,
            keeper_of(call),
            call.path["session_id"],
            call.revision,
            call.body["capacity"],
        ),
    )


def _capacity_answer(call: Call[Tourism], found: Committed[Capacity]) -> Answer:
    shown = capacity_json(call.path["session_id"], found.value)
    return Answer(shown, found.seq, found.value.asked.revision)


@router.route(
    "POST /v1/sessions/{session_id}/closure",
    Words("取消一个场次及其全部预订", "Cancel a session with all its bookings"),
    scope="sessions:write",
    roles=STAFF,
    answer=schemas.SessionSchema,
    problems=(CLOSED, OVER),
)
def close_session(call: Call[Tourism]) -> Answer:
    found = closing.close_session(
        call.parts.database, keeper_of(call), call.path["session_id"], call.claim
    )
    return Answer(session_json(found.value.body, 0), found.seq, found.value.revision)
