"""Audit over HTTP: what was done to clients and signing keys, and by whom."""

from services.identity.actions import audit as actions
from services.identity.routes.parts import Identity, new_router
from services.identity.routes.staff import READERS
from services.identity.schemas import audit as schemas
from shared.language import Words
from shared.schemas import PageQuery
from shared.web.routes import Answer, Call

router = new_router()


@router.route(
    "GET /v1/audit-events",
    Words("客户端与签名密钥的变更记录，最新在前", "Acts on clients and keys, newest first"),
    scope="roles:read",
    roles=READERS,
    query=PageQuery,
    answer=schemas.AuditEventsSchema,
)
def list_events(call: Call[Identity]) -> Answer:
    found = actions.list_events(
        call.parts.database,
        limit=call.page.fetch,
        after=call.page.after,
        freshness=call.freshness(),
    )
    return call.page.answer(found, lambda hit: schemas.event_json(hit.document))
