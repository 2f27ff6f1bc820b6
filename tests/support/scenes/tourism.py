"""Tourism's stage: a session of tomorrow at scenic-1's attraction, of which citizen-1 holds a
place.
"""

from tests.support.gate import Gate
from tests.support.scenes.stage import Ids, Stage
from tests.support.served import Json, made


def _furnish(gate: Gate) -> Ids:
    # Holds of the scene before have expired by then: one account cannot have many.
    gate.clock.pass_wall(seconds=1200)
    session = gate.open_session()
    booking = made(gate.hold(session))
    return {
        "attraction_id": "mogao",
        "product_id": "ticket",
        "session_id": session,
        "booking_id": booking["id"],
        "ticket_id": booking["tickets"][0]["id"],
        "passport": gate.visitors()[0]["document"]["number"],
        "slug": "no-places-left",
    }


def _to_the_gate(gate: Gate, ids: Ids) -> None:
    made(gate.act({"id": ids["booking_id"]}, "confirmation"))
    gate.to_start(ids["session_id"])


def _booking(ids: Ids) -> Json:
    document = {"kind": "passport", "number": ids["passport"]}
    return {"session_id": ids["session_id"], "visitors": [{"document": document}]}


STAGE = Stage(
    _furnish,
    before={"POST /v1/tickets/{ticket_id}/admission": _to_the_gate},
    bodies={
        "POST /v1/bookings": _booking,
        "POST /v1/tickets/{ticket_id}/admission": lambda _: {},
    },
)
