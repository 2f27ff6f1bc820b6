"""Who acts on an attraction, and what they may touch."""

from dataclasses import dataclass

from shared.errors import NOT_FOUND, Refused
from shared.storage.access import Document, View, recent

PUBLIC = recent(1.0)
"""Calendars and crowds may be a second old; nothing is decided on them."""


@dataclass(frozen=True, slots=True)
class Keeper:
    """Who acts on an attraction: one of its staff or gates, or an operator of the platform."""

    subject: str
    operator: bool = False


def kept_session(view: View, keeper: Keeper, session_id: str) -> Document:
    session = view.require("sessions", session_id)
    kept(view, keeper, session.body["attraction"])
    return session


def kept(view: View, keeper: Keeper, attraction: str, *, gate: bool = False) -> None:
    """Raise NOT_FOUND for who does not work there; gates may only do what is a gate's."""
    operator = view.require("operators", attraction).body
    theirs = [*operator["staff"], *(operator["gates"] if gate else ())]
    if keeper.subject not in theirs and not keeper.operator:
        raise Refused(NOT_FOUND)
