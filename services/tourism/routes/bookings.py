"""Bookings over HTTP: a citizen's own, and their tickets at the gate."""

from services.tourism import domain
from services.tourism.actions import bookings as actions
from services.tourism.routes.parts import (
    CITIZEN,
    GATE,
    Tourism,
    keeper_of,
    new_router,
    visitor_of,
)
from services.tourism.schemas import tickets as schemas
from services.tourism.schemas.tickets import admitted_json, booking_json
from shared.language import Words
from shared.schemas import PageQuery
from shared.storage.access import Committed, Document
from shared.web.routes import Answer, Call

router = new_router()


@router.route(
    "POST /v1/bookings",
    Words("预留门票", "Hold tickets"),
    scope="tickets:write",
    roles=CITIZEN,
    body=schemas.NewBookingSchema,
    answer=schemas.BookingSchema,
    problems=(
        domain.SOLD_OUT,
        domain.DAY_FULL,
        domain.CLOSED,
        domain.OVER,
        domain.NOT_ON_SALE,
        domain.NO_SESSION,
        domain.HAS_TICKET,
        domain.TOO_MANY_HOLDS,
    ),
)
def hold_places(call: Call[Tourism]) -> Answer:
    visitors = [
        visitor_of(call, visitor["document"], f"visitors.{place}.document")
        for place, visitor in enumerate(call.body["visitors"])
    ]
    made = actions.hold_places(
        call.parts.database,
        call.identity.subject,
        call.claim,
        call.body["session_id"],
        visitors,
        call.identity.actor,
    )
    answer = _booking_answer(call, made)
    answer.location = f"/tourism/v1/bookings/{made.value.key}"
    return answer


@router.route(
    "GET /v1/bookings",
    Words("我的预订，最新在前", "My own bookings, newest first"),
    scope="tickets:read",
    roles=CITIZEN,
    query=PageQuery,
    answer=schemas.BookingsSchema,
)
def list_bookings(call: Call[Tourism]) -> Answer:
    found = actions.list_bookings(
        call.parts.database,
        call.identity.subject,
        limit=call.page.fetch,
        after=call.page.after,
        freshness=call.freshness(),
    )
    now_ms, opened = call.parts.clock.now_ms(), call.delegation_of
    return call.page.answer(found, lambda hit: booking_json(hit.document, now_ms, opened))


@router.route(
    "GET /v1/bookings/{booking_id}",
    Words("我的一次预订", "One of my own bookings"),
    scope="tickets:read",
    roles=CITIZEN,
    answer=schemas.BookingSchema,
)
def read_booking(call: Call[Tourism]) -> Answer:
    found = actions.read_booking(
        call.parts.database, call.identity.subject, call.path["booking_id"], call.freshness()
    )
    return _booking_answer(call, found)


@router.route(
    "POST /v1/bookings/{booking_id}/confirmation",
    Words("确认预留的门票", "Confirm held tickets"),
    scope="tickets:write",
    roles=CITIZEN,
    answer=schemas.BookingSchema,
    problems=(domain.EXPIRED, domain.NOT_HELD, domain.CLOSED, domain.OVER),
)
def confirm_booking(call: Call[Tourism]) -> Answer:
    found = actions.confirm_booking(
        call.parts.database,
        call.identity.subject,
        call.path["booking_id"],
        call.claim,
        call.identity.actor,
    )
    return _booking_answer(call, found)


@router.route(
    "POST /v1/bookings/{booking_id}/cancellation",
    Words("退票（不可改签）", "Give tickets back; they cannot be moved to another session"),
    scope="tickets:write",
    roles=CITIZEN,
    answer=schemas.BookingSchema,
    problems=(domain.NOT_REFUNDABLE,),
)
def cancel_booking(call: Call[Tourism]) -> Answer:
    found = actions.cancel_booking(
        call.parts.database,
        call.identity.subject,
        call.path["booking_id"],
        call.claim,
        call.identity.actor,
    )
    return _booking_answer(call, found)


def _booking_answer(call: Call[Tourism], found: Committed[Document]) -> Answer:
    # A repeated request is answered as the first was, whatever the time is now.
    now_ms = found.value.body["placed_ms"] if found.replayed else call.parts.clock.now_ms()
    shown = booking_json(found.value, now_ms, call.delegation_of)
    return Answer(shown, found.seq, found.value.revision)


@router.route(
    "POST /v1/tickets/{ticket_id}/admission",
    Words("检票入园，一票一次", "Let a ticket's visitor in, once"),
    scope="tickets:check",
    roles=GATE,
    body=schemas.AdmissionSchema,
    answer=schemas.AdmittedSchema,
    problems=(domain.USED, domain.NOT_VALID, domain.NOT_NOW, domain.OTHER_VISITOR),
)
def admit(call: Call[Tourism]) -> Answer:
    document = call.body.get("document")
    visitor = None if document is None else visitor_of(call, document, "document")
    ticket = call.path["ticket_id"]
    found = actions.admit(call.parts.database, keeper_of(call), ticket, call.claim, visitor)
    return Answer(admitted_json(found.value, ticket), found.seq, found.value.revision)
