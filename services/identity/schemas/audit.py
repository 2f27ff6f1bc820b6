"""Audit events as JSON."""

from services.identity.domain.audit import REASON_MAX, WHAT
from services.identity.schemas.accounts import ACCOUNT_ID
from services.identity.schemas.clients import CLIENT, said
from shared.language import Words
from shared.schemas import Choice, Instant, Items, PageQuery, Schema, Text
from shared.storage.access import Document
from shared.times import instant

MEMBERS_MAX = 20


class AuditEventSchema(Schema):
    """What was done, to what, by whom."""

    what = Choice(*WHAT)
    about = Text(100, example=CLIENT)
    by = Text(100, example=ACCOUNT_ID, doc=Words("账号或平台命令", "An account, or a command"))
    members = Items(Text(60), MEMBERS_MAX, doc=Words("更改的字段", "What was changed of it"))
    reason = Text(REASON_MAX, nullable=True)
    at = Instant()


class AuditEventsSchema(Schema):
    items = Items(AuditEventSchema, PageQuery.LIMIT_MAX)
    after = Text(1024, nullable=True)


def event_json(document: Document) -> dict[str, object]:
    body = document.body
    return {
        "what": body["what"],
        "about": body["about"],
        "by": body["by"],
        "members": [said(name) for name in body["members"]],
        "reason": body.get("reason"),
        "at": instant(body["at_ms"]),
    }
