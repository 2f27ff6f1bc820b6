"""Desks, who works at them, departments and doctors."""

from collections.abc import Sequence

from services.health.actions.keepers import PUBLIC, Staff, at_desk, member_key
from services.health.domain.problems import DESK_OPEN
from shared.errors import Refused
from shared.storage.access import (
    Claim,
    Committed,
    Database,
    Document,
    Freshness,
    Hit,
    Position,
    ReadView,
    Transaction,
    unchanged,
)
from shared.storage.catalogue import Body

# Desks


def open_desk(
    database: Database, staff: Staff, hospital_id: str, claim: Claim, limits: Body
) -> Committed[Document]:
    """Let a hospital take appointments. Raises Refused(DESK_OPEN)."""

    def change(tx: Transaction) -> Document:
        if tx.get("desks", hospital_id) is not None:
            raise Refused(DESK_OPEN)
        body = {**limits, "opened_ms": tx.now_ms, "by": staff.subject}
        return tx.put("desks", hospital_id, body)

    return database.transact_once(claim, change)


def read_desk(
    database: Database, hospital_id: str, freshness: Freshness = PUBLIC
) -> Committed[Document]:
    """A hospital's limits, as everyone may see them."""
    return database.read_one("desks", hospital_id, freshness)


def change_limits(
    database: Database, staff: Staff, hospital_id: str, revision: int, limits: Body
) -> Committed[Document]:
    """Set a hospital's limits, for what is booked from now on. Raises Refused(STALE)."""

    def change(tx: Transaction) -> Document:
        desk = at_desk(tx, staff, hospital_id)
        unchanged(desk, revision)
        return tx.put("desks", hospital_id, {**desk.body, **limits, "by": staff.subject})

    return database.transact(change)


def set_member(
    database: Database, staff: Staff, hospital_id: str, claim: Claim, subject: str, *, active: bool
) -> Committed[Document]:
    """Let somebody work at a hospital's desk, or no longer."""

    def change(tx: Transaction) -> Document:
        tx.require("desks", hospital_id)
        body = {"hospital": hospital_id, "active": active, "by": staff.subject}
        return tx.put("staff", member_key(hospital_id, subject), body)

    return database.transact_once(claim, change)


# Departments and doctors


def add_department(
    database: Database, staff: Staff, hospital_id: str, claim: Claim, department: Body
) -> Committed[Document]:
    """Open a department that patients can book with."""

    def change(tx: Transaction) -> Document:
        at_desk(tx, staff, hospital_id)
        body = {**department, "hospital": hospital_id, "by": staff.subject}
        return tx.put("departments", tx.new_id("department"), body)

    return database.transact_once(claim, change)


def add_doctor(
    database: Database, staff: Staff, department_id: str, claim: Claim, doctor: Body
) -> Committed[Document]:
    """Let a doctor see patients of a department."""

    def change(tx: Transaction) -> Document:
        department = tx.require("departments", department_id)
        hospital_id = department.body["hospital"]
        at_desk(tx, staff, hospital_id)
        body = {**doctor, "hospital": hospital_id, "department": department_id}
        return tx.put("doctors", tx.new_id("doctor"), {**body, "by": staff.subject})

    return database.transact_once(claim, change)


def read_department(
    database: Database, department_id: str, freshness: Freshness = PUBLIC
) -> Committed[Document]:
    return database.read_one("departments", department_id, freshness)


def read_doctor(
    database: Database, doctor_id: str, freshness: Freshness = PUBLIC
) -> Committed[Document]:
    return database.read_one("doctors", doctor_id, freshness)


def list_departments(
    database: Database,
    hospital_id: str,
    *,
    limit: int,
    after: Position | None,
    freshness: Freshness = PUBLIC,
) -> Committed[list[Hit]]:
    """A hospital's departments; none for a hospital that takes no appointments."""
    return database.read(
        lambda view: view.find("departments_by_hospital", (hospital_id,), limit=limit, after=after),
        freshness,
    )


def list_doctors(
    database: Database,
    department_id: str,
    *,
    limit: int,
    after: Position | None,
    freshness: Freshness = PUBLIC,
) -> Committed[list[Hit]]:
    """A department's doctors."""

    def query(view: ReadView) -> list[Hit]:
        view.require("departments", department_id)
        return view.find("doctors_by_department", (department_id,), limit=limit, after=after)

    return database.read(query, freshness)


# Samples


def plant_desk(
    database: Database,
    hospital_id: str,
    limits: Body,
    members: Sequence[str],
    departments: Sequence[tuple[str, Body]],
    doctors: Sequence[tuple[str, Body]],
) -> Committed[bool]:
    """Open a sample desk with its members (subjects), departments and doctors (id, body), all or
    nothing. A doctor's body names its `department`. False where the desk stands already.
    """

    def change(tx: Transaction) -> bool:
        if tx.get("desks", hospital_id) is not None:
            return False
        tx.put("desks", hospital_id, {**limits, "opened_ms": tx.now_ms, "sample": True})
        for subject in members:
            body = {"hospital": hospital_id, "active": True}
            tx.put("staff", member_key(hospital_id, subject), body)
        for collection, rows in (("departments", departments), ("doctors", doctors)):
            for key, row in rows:
                tx.put(collection, key, {**row, "hospital": hospital_id, "sample": True})
        return True

    return database.transact(change)
