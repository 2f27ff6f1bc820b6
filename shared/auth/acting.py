"""Who acts for somebody else: what stands of it on documents and in events, and what is shown.

A token with `act` names two accounts: the person who is served (`sub`) and the one who acts. Every
rule about people goes by the person; the one who acts is noted beside whatever is done, under a
subject of the service's own and with the delegation that allowed it, sealed with the service's own
key (`delegations.py`). The person is shown the kind and the delegation, never an account.

Pure Python, so that actions may use it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

Kind = Literal["guardian", "station_agent"]
KINDS: tuple[str, ...] = get_args(Kind)

Open = Callable[[str], str]
"""From a delegation as a service stores it to the issuer's id of it."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a subject like any other of the service, in which relation, and by leave of which
    delegation (sealed).
    """

    subject: str
    kind: str
    delegation: str

    def noted(self) -> dict[str, Any]:
        """What is stored."""
        return {"subject": self.subject, "kind": self.kind, "delegation": self.delegation}


def note(body: dict[str, Any], did: str, actor: Actor | None) -> None:
    """Note on a document who did something for its person; nothing where the person did it.

    A document changes hands a few times in its life at most, so the notes are few.
    """
    if actor is not None:
        body["acts"] = [*body.get("acts", []), {"did": did, **actor.noted()}]


def told(actor: Actor | None) -> dict[str, Any]:
    """What an event says of who acted, beside whom it is for."""
    return {} if actor is None else {"acted_by": actor.noted()}


def acts_json(body: Mapping[str, Any], opened: Open) -> dict[str, Any]:
    """What a document's person is shown: `acted_by`, where anybody ever acted."""
    acts = [
        {"did": act["did"], "kind": act["kind"], "delegation_id": opened(act["delegation"])}
        for act in body.get("acts", ())
    ]
    return {"acted_by": acts} if acts else {}
