"""What reaches health's journal and log: no account ids, no tokens, no doctor beside a person."""

import gzip
from contextlib import suppress
from pathlib import Path

import orjson

from shared.auth.subjects import service_subject
from shared.storage.entry import decode
from tests.support.clinic import LZU, Clinic
from tests.support.ledger import entries_of
from tests.support.served import Json, json_of, made
from tests.support.tokens import SUBJECT_KEY

ACCOUNTS = ("citizen-13811112222", "hospital-62010319800101123X", "operator-secret")
KEPT = ("desks", "staff", "departments", "doctors", "publications")
"""What staff alone change."""


def everything_stored(clinic: Clinic) -> bytes:
    """Every object of the bucket, opened up where it is compressed."""
    objects = [clinic.store.get(row.key) for row in clinic.store.list("", limit=100_000)]
    stored = b"".join(objects)
    for item in objects:
        with suppress(OSError):
            stored += gzip.decompress(item)
    return stored


def stored_documents(clinic: Clinic) -> list[tuple[str, Json]]:
    """Everything that was ever written, in order."""
    entries = entries_of(clinic.store, "health/")
    writes = [write for seq, e in enumerate(entries, 1) for write in decode(e, seq).writes]
    return [(each.collection, orjson.loads(each.body)) for each in writes if each.body is not None]


def use_every_write(clinic: Clinic) -> None:
    citizen, staff, operator = ACCOUNTS
    clinic.open_desks()
    member = {"account": staff, "active": True}
    made(clinic.post(f"/v1/hospitals/{LZU}/staff", member, by=operator))
    doctor = clinic.doctor()
    made(clinic.publish(doctor, by=staff))
    session = clinic.read(f"{doctor}.20260105.0800")
    made(clinic.cancel(clinic.booked(session, by=citizen), by=citizen))
    appointment = clinic.booked(session, by=citizen)
    path = f"/v1/sessions/{session['id']}"
    match = {"If-Match": clinic.get(path).headers["ETag"]}
    clinic.ask("PATCH", f"{path}/slots/0", {"start": "14:00"}, by=staff, headers=match)
    clinic.clock.pass_wall(hours=4 * 24)
    made(clinic.at_desk("check-in", appointment, by=staff))
    late = clinic.booked(session, 1, by="citizen-2")
    clinic.clock.pass_wall(hours=1)
    made(clinic.at_desk("no-show", late, by=staff))
    clinic.booked(session, 3, by="citizen-3")
    made(clinic.post(f"{path}/stop", by=staff))


def test_no_route_stores_an_account_id(tmp_path: Path) -> None:
    with Clinic(tmp_path) as clinic:
        use_every_write(clinic)
        stored = everything_stored(clinic)
    for account in ACCOUNTS[:2]:
        assert service_subject(account, SUBJECT_KEY).encode() in stored
    for account in ACCOUNTS:
        assert account.encode() not in stored


def test_the_journal_says_who_of_the_staff_changed_what(tmp_path: Path) -> None:
    """On what only staff change, and in the event where patients change it too."""
    with Clinic(tmp_path) as clinic:
        use_every_write(clinic)
        clinic.set_limits()
        documents = stored_documents(clinic)
        events = clinic.events()
    staff, operator = (service_subject(account, SUBJECT_KEY) for account in ACCOUNTS[1:])
    keeper, opener = (service_subject(each, SUBJECT_KEY) for each in ("hospital-1", "operator-1"))
    by = {(collection, body["by"]) for collection, body in documents if collection in KEPT}
    assert by == {
        ("desks", opener),
        ("desks", keeper),
        ("staff", opener),
        ("staff", operator),
        ("departments", keeper),
        ("doctors", keeper),
        ("publications", staff),
    }
    session = [body for collection, body in documents if collection == "sessions"][-1]
    assert (session["by"], [slot.get("by") for slot in session["slots"]]) == (
        staff,
        [staff, None, None, None],
    )
    told = {kind: data.get("by") for kind, data in events}
    assert told == {
        "appointment.booked": None,
        "appointment.cancelled": None,
        "appointment.moved": staff,
        "appointment.checked_in": staff,
        "appointment.missed": staff,
        "appointment.called_off": staff,
    }


def test_nobody_outside_is_told_who_of_the_staff_it_was(tmp_path: Path) -> None:
    with Clinic(tmp_path) as clinic:
        use_every_write(clinic)
        mine = json_of(clinic.get("/v1/appointments", by=ACCOUNTS[0]))["items"]
        session = f"/v1/sessions/{mine[0]['session_id']}"
        public = [session, f"/v1/hospitals/{LZU}/desk", f"/v1/doctors/{mine[0]['doctor_id']}"]
        answers = [*mine, *(json_of(clinic.get(path)) for path in public)]
    assert len(answers) == 5
    assert [answer for answer in answers if "by" in answer or "sub_" in str(answer)] == []


def test_nothing_personal_reaches_the_log(tmp_path: Path) -> None:
    with Clinic(tmp_path) as clinic:
        use_every_write(clinic)
        clinic.get("/v1/appointments/appointment_of_somebody", by=ACCOUNTS[0])
        log = b"".join(clinic.log)
    for secret in (
        *ACCOUNTS,
        "appointment_0",
        "appointment_of",
        "doctor_0",
        "department_0",
        "Bearer",
        "sub_",
        "key-1",
    ):
        assert secret.encode() not in log, secret
