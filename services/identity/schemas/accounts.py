"""Accounts as JSON."""

from services.identity.domain.accounts import STATES
from services.identity.domain.scopes import ROLES
from shared.language import Words
from shared.schemas import SAMPLE, Choice, Flag, Instant, Items, Schema, Text
from shared.storage.access import Document
from shared.times import instant

ACCOUNT_ID = "account_019a8f5b2c3d7e8f9a0b1c2d3e4f5061"


class AccountSchema(Schema):
    """Who has signed in. Its number is not here: its digest alone is kept."""

    id = Text(100, example=ACCOUNT_ID)
    roles = Items(Choice(*ROLES), len(ROLES), doc=Words("角色", "What it is to the platform"))
    state = Choice(*STATES)
    made_at = Instant()
    sample = Flag(doc=SAMPLE)


def account_json(document: Document) -> dict[str, object]:
    body = document.body
    return {
        "id": document.key,
        "roles": body["roles"],
        "state": body["state"],
        "made_at": instant(body["made_ms"]),
        "sample": body.get("sample", False),
    }
