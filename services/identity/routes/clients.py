"""Clients over HTTP: what operators make known, with secrets for those that act for themselves."""

from services.identity.actions import clients as actions
from services.identity.domain import clients as domain
from services.identity.routes.parts import APPS, OPERATOR, Identity, new_router
from services.identity.schemas import clients as schemas
from services.identity.schemas.clients import app_json, client_json
from shared.language import Words
from shared.schemas import PageQuery
from shared.storage.access import Committed, Document
from shared.web.routes import Answer, Call

router = new_router()


@router.route(
    "GET /v1/apps",
    Words("可以登录的应用", "Apps that people can sign in to"),
    public=APPS,
    query=PageQuery,
    answer=schemas.AppsSchema,
)
def list_apps(call: Call[Identity]) -> Answer:
    found = actions.list_apps(
        call.parts.database,
        limit=call.page.fetch,
        after=call.page.after,
        freshness=call.freshness(actions.PUBLIC),
    )
    return call.page.answer(found, lambda hit: app_json(hit.document, call.language))


@router.route(
    "GET /v1/apps/{client_id}",
    Words("一个应用", "One app"),
    public=APPS,
    answer=schemas.AppSchema,
)
def read_app(call: Call[Identity]) -> Answer:
    found = actions.read_app(
        call.parts.database, call.path["client_id"], call.freshness(actions.PUBLIC)
    )
    return Answer(app_json(found.value, call.language), found.seq, found.value.revision)


@router.route(
    "POST /v1/clients",
    Words("登记客户端", "Make a client known"),
    scope="clients:write",
    roles=OPERATOR,
    body=schemas.NewClientSchema,
    answer=schemas.KeptClientSchema,
    problems=(domain.CLIENT_EXISTS,),
)
def register(call: Call[Identity]) -> Answer:
    said = schemas.registration(call.body)
    by = call.identity.subject
    made = actions.register(call.parts.database, call.claim, by, call.body["id"], said)
    answer = _with_secret(call, made)
    answer.location = f"/identity/v1/clients/{made.value.key}"
    return answer


@router.route(
    "GET /v1/clients",
    Words("所有客户端，最早在前", "All clients, oldest first"),
    scope="clients:read",
    roles=OPERATOR,
    query=PageQuery,
    answer=schemas.ClientsSchema,
)
def list_clients(call: Call[Identity]) -> Answer:
    found = actions.list_clients(
        call.parts.database,
        limit=call.page.fetch,
        after=call.page.after,
        freshness=call.freshness(),
    )
    return call.page.answer(found, lambda hit: client_json(hit.document))


@router.route(
    "GET /v1/clients/{client_id}",
    Words("一个客户端", "One client"),
    scope="clients:read",
    roles=OPERATOR,
    answer=schemas.ClientSchema,
)
def read_client(call: Call[Identity]) -> Answer:
    found = actions.read_client(call.parts.database, call.path["client_id"], call.freshness())
    return Answer(client_json(found.value), found.seq, found.value.revision)


@router.route(
    "PATCH /v1/clients/{client_id}",
    Words("更改客户端登记", "Change what is said of a client"),
    scope="clients:write",
    roles=OPERATOR,
    body=schemas.ClientChangesSchema,
    answer=schemas.ClientSchema,
    problems=(domain.CLIENT_CLOSED, domain.CLIENT_OF_OFFICE),
)
def change_client(call: Call[Identity]) -> Answer:
    found = actions.change_client(
        call.parts.database,
        call.identity.subject,
        call.path["client_id"],
        call.revision,
        schemas.changes(call.body),
    )
    return Answer(client_json(found.value), found.seq, found.value.revision)


@router.route(
    "POST /v1/clients/{client_id}/secrets",
    Words("更换密钥，旧密钥七天后失效", "Renew the secret; the one before ends after seven days"),
    scope="clients:write",
    roles=OPERATOR,
    answer=schemas.KeptClientSchema,
    problems=(domain.NO_SECRET, domain.CLIENT_CLOSED),
)
def renew_secret(call: Call[Identity]) -> Answer:
    by, client = call.identity.subject, call.path["client_id"]
    made = actions.renew_secret(call.parts.database, call.claim, by, client)
    return _with_secret(call, made)


@router.route(
    "POST /v1/clients/{client_id}/closure",
    Words("停用客户端", "Close a client"),
    scope="clients:write",
    roles=OPERATOR,
    answer=schemas.ClientSchema,
    problems=(domain.CLIENT_CLOSED, domain.CLIENT_OF_OFFICE),
)
def close(call: Call[Identity]) -> Answer:
    by, client = call.identity.subject, call.path["client_id"]
    found = actions.close(call.parts.database, call.claim, by, client)
    return Answer(client_json(found.value), found.seq, found.value.revision)


def _with_secret(call: Call[Identity], made: Committed[Document]) -> Answer:
    client = made.value
    has_one = client.body["kind"] != "app"
    secret = call.parts.issuing.secrets.client_secret(client.key, client.body["secret"])
    body = {**client_json(client), "secret": secret if has_one else None}
    return Answer(body, made.seq, client.revision)
