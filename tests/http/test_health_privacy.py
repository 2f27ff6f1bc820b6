"""What reaches health's journal and log: no account ids, no tokens, no doctor beside a person."""

import gzip
from contextlib import suppress
from pathlib import Path

from shared.auth.subjects import service_subject
from tests.support.clinic import LZU, Clinic
from tests.support.served import made
from tests.support.tokens import SUBJECT_KEY

ACCOUNTS = ("citizen-13811112222", "hospital-62010319800101123X", "operator-secret")


def everything_stored(clinic: Clinic) -> bytes:
    """Every object of the bucket, opened up where it is compressed."""
    objects = [clinic.store.get(row.key) for row in clinic.store.list("", limit=100_000)]
    stored = b"".join(objects)
    for item in objects:
        with suppress(OSError):
            stored += gzip.decompress(item)
    return stored


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
    made(clinic.post(f"{path}/stop", by=staff))


def test_no_route_stores_an_account_id(tmp_path: Path) -> None:
    with Clinic(tmp_path) as clinic:
        use_every_write(clinic)
        stored = everything_stored(clinic)
    for account in ACCOUNTS[:2]:
        assert service_subject(account, SUBJECT_KEY).encode() in stored
    for account in ACCOUNTS:
        assert account.encode() not in stored


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
