"""What reaches tourism's journal and log: no account ids, and above all no identity documents."""

from stdnum.cn import ric

from shared.auth.subjects import document_digest, service_subject
from tests.support.gate import Gate, pattern_of
from tests.support.served import Json, json_of, made, refused
from tests.support.tokens import SUBJECT_KEY

CITIZEN = "citizen-13811112222"
NUMBER = "11010519491231002X"
PASSPORT = "E98765432"
STAFF = ("scenic-1", "operator-1", "gate-1", "everyone")


def documents() -> list[Json]:
    return [
        {"document": {"kind": "resident_id", "number": NUMBER}},
        {"document": {"kind": "passport", "number": PASSPORT}},
    ]


def use_every_write(gate: Gate) -> bytes:
    """All that anybody was answered."""
    session = gate.open_session()
    body = {"session_id": session, "visitors": documents()}
    answers = [gate.post("/v1/bookings", body, by=CITIZEN)]
    booking = made(answers[0])
    answers.append(gate.post("/v1/bookings", body, by="citizen-2"))
    answers.append(gate.act(booking, "confirmation", by=CITIZEN))
    gate.to_start(session)
    ticket = booking["tickets"][0]["id"]
    answers += [gate.admit(ticket, document) for document in reversed(documents())]
    answers.append(gate.act(booking, "cancellation", by=CITIZEN))
    answers.append(gate.get("/v1/bookings", by=CITIZEN))
    answers.append(gate.post(f"/v1/sessions/{session}/closure", by="scenic-1"))
    return b"".join(answer.data for answer in answers)


def test_no_document_number_is_stored_answered_or_logged(fresh_gate: Gate) -> None:
    answered = use_every_write(fresh_gate)
    stored, log = fresh_gate.stored(), b"".join(fresh_gate.log)
    assert document_digest("resident_id", NUMBER, SUBJECT_KEY).encode() in stored
    assert service_subject(CITIZEN, SUBJECT_KEY).encode() in stored
    for secret in (NUMBER, PASSPORT, CITIZEN, "scenic-1"):
        for place in (answered, stored, log):
            assert secret.encode() not in place
    assert b"doc_" not in answered + log
    assert b"sub_" not in answered + log


def test_what_staff_change_says_who_changed_it_and_shows_it_to_nobody(fresh_gate: Gate) -> None:
    gate = fresh_gate
    day, path = gate.tomorrow, "/v1/products/ticket/sessions"
    opened = gate.post(path, pattern_of(day, (600, 720, 10)), by="scenic-1")
    session = f"ticket.{day.replace('-', '')}.1000"
    ticket = gate.confirmed(session)["tickets"][0]["id"]
    seen = gate.get(f"/v1/sessions/{session}/capacity", by="operator-1")
    lowered = gate.ask(
        "PUT",
        f"/v1/sessions/{session}/capacity",
        {"capacity": 5},
        by="operator-1",
        headers={"If-Match": seen.headers["ETag"]},
    )
    gate.to_start(session)
    admitted = gate.admit(ticket, by="gate-1")
    closed = gate.post(f"/v1/sessions/{session}/closure", by="everyone")

    who = [service_subject(account, SUBJECT_KEY) for account in STAFF]
    documents, events = gate.journal()
    assert [body["by"] for body in documents["openings"]] == [who[0]]
    assert documents["capacities"][-1] == {"requested": 5, "by": who[1]}
    assert documents["bookings"][-1]["tickets"][0]["admitted_by"] == who[2]
    assert ("session.cap_changed", {"session": session, "by": who[1]}) in events
    assert ("session.cancelled", {"session": session, "by": who[3]}) in events
    own = gate.get("/v1/bookings", by="citizen-1")
    for answer in (opened, lowered, admitted, closed, own):
        assert answer.status_code < 300
        assert b"sub_" not in answer.data


def test_a_number_counts_with_its_kind_and_its_service() -> None:
    digests = {
        document_digest("passport", PASSPORT, SUBJECT_KEY),
        document_digest("resident_id", PASSPORT, SUBJECT_KEY),
        document_digest("passport", PASSPORT, b"another service's key"),
    }
    assert len(digests) == 3


def resident(born: str) -> str:
    """A number with the right check character."""
    first = f"620102{born}000"
    return first + ric.calc_check_digit(first + "0")


def test_a_number_that_a_resident_cannot_have_is_named(gate: Gate) -> None:
    session = gate.open_session()
    impossible = (NUMBER[:-1] + "0", "110105194912310", "0" + NUMBER[1:], PASSPORT)
    never_born = (resident("00009900"), resident("20250229"), resident("20260102"))
    for number in (*impossible, *never_born):
        wrong = {"document": {"kind": "resident_id", "number": number}}
        body = {"session_id": session, "visitors": [documents()[1], wrong]}
        answer = gate.post("/v1/bookings", body, by="citizen-1")
        refused(answer, 422, "invalid-request", "visitors.1.document.number")
    assert json_of(gate.get(f"/v1/sessions/{session}"))["available"] == 10
