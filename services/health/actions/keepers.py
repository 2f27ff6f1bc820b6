"""Who acts for a hospital, and what of it they may touch."""

from dataclasses import dataclass

from shared.errors import NOT_FOUND, Refused
from shared.storage.access import Document, View, recent

PUBLIC = recent(1.0)
"""What everyone may read may be a second old; nothing is decided on it."""


@dataclass(frozen=True, slots=True)
class Staff:
    """Who acts for a hospital: somebody of its desk, or an operator, who may act for any."""

    subject: str
    operator: bool = False


def at_desk(view: View, staff: Staff, hospital_id: str) -> Document:
    """A hospital's desk, for those who work at it. Raises Refused(NOT_FOUND) to all others."""
    desk = view.require("desks", hospital_id)
    if not staff.operator:
        member = view.require("staff", member_key(hospital_id, staff.subject))
        if not member.body["active"]:
            raise Refused(NOT_FOUND)
    return desk


def member_key(hospital_id: str, subject: str) -> str:
    return f"{hospital_id}.{subject}"
