"""Clients as JSON."""

from typing import Any, ClassVar

from services.identity.domain.clients import (
    KINDS,
    REDIRECTS_MAX,
    SCOPES_MAX,
    STATES,
    Registration,
)
from services.identity.domain.scopes import ROLES
from shared.language import Language, Words, local
from shared.schemas import (
    LOCAL_NAME,
    SAMPLE,
    Choice,
    Example,
    Flag,
    Instant,
    Items,
    PageQuery,
    Schema,
    Text,
)
from shared.storage.access import Document
from shared.storage.catalogue import Body
from shared.times import instant

CLIENT_ID = r"^[a-z][a-z0-9-]{2,62}$"
CLIENT = "gansu-app"
_KEPT = {"redirect_uris": "redirects"}
SCOPE = r"^[a-z]+(:[a-z]+)?$"


class NewClientSchema(Schema):
    EXAMPLE: ClassVar[Example] = {
        "id": CLIENT,
        "kind": "app",
        "name_zh": "智慧甘肃",
        "name_en": "Smart Gansu",
        "redirect_uris": ["cn.gansu.app:/signed-in"],
        "scopes": ["openid", "orders:read", "orders:write"],
        "roles": [],
    }

    id = Text(63, pattern=CLIENT_ID, example=CLIENT)
    kind = Choice(*KINDS, doc=Words("应用、机构或服务账号", "An app, a firm, a service account"))
    name_zh = Text(60, doc=Words("登录页显示的名称", "What the sign-in page calls it"))
    name_en = Text(100)
    redirect_uris = Items(Text(600), REDIRECTS_MAX)
    scopes = Items(Text(60, pattern=SCOPE), SCOPES_MAX)
    roles = Items(Choice(*ROLES), 1)


class ClientChangesSchema(Schema):
    EXAMPLE: ClassVar[Example] = {"redirect_uris": ["cn.gansu.app:/signed-in"]}

    name_zh = Text(60, required=False)
    name_en = Text(100, required=False)
    redirect_uris = Items(Text(600), REDIRECTS_MAX, required=False)
    scopes = Items(Text(60, pattern=SCOPE), SCOPES_MAX, required=False)


class AppSchema(Schema):
    """An app that people can sign in to, as everyone may see it."""

    id = Text(63, pattern=CLIENT_ID, example=CLIENT)
    name = Text(100, doc=LOCAL_NAME)
    name_zh = Text(60)
    name_en = Text(100)
    sample = Flag(doc=SAMPLE)


class AppsSchema(Schema):
    items = Items(AppSchema, PageQuery.LIMIT_MAX)
    after = Text(1024, nullable=True)


class ClientSchema(Schema):
    id = Text(63, pattern=CLIENT_ID, example=CLIENT)
    kind = Choice(*KINDS)
    name_zh = Text(60)
    name_en = Text(100)
    redirect_uris = Items(Text(600), REDIRECTS_MAX)
    scopes = Items(Text(60), SCOPES_MAX)
    roles = Items(Choice(*ROLES), 1)
    office = Flag(doc=Words("管理平台自有，不能在此更改", "The office's own; not changed here"))
    state = Choice(*STATES)
    made_at = Instant()
    sample = Flag(doc=SAMPLE)


class KeptClientSchema(ClientSchema):
    """A client with the secret that was made for it; null for an app, which has none."""

    secret = Text(64, nullable=True, doc=Words("仅此时显示", "Shown now, to whoever asked for it"))


class ClientsSchema(Schema):
    items = Items(ClientSchema, PageQuery.LIMIT_MAX)
    after = Text(1024, nullable=True)


def registration(body: dict[str, Any]) -> Registration:
    """What an operator said of a new client."""
    return Registration(
        body["kind"],
        body["name_zh"],
        body["name_en"],
        body["redirect_uris"],
        body["scopes"],
        body["roles"],
    )


def client_json(document: Document) -> dict[str, object]:
    body = document.body
    return {
        "id": document.key,
        "kind": body["kind"],
        "name_zh": body["name_zh"],
        "name_en": body["name_en"],
        "redirect_uris": body["redirects"],
        "scopes": body["scopes"],
        "roles": body["roles"],
        "office": body["office"],
        "state": body["state"],
        "made_at": instant(body["made_ms"]),
        "sample": body.get("sample", False),
    }


def changes(body: dict[str, Any]) -> Body:
    """What an operator said anew of a client."""
    return {_KEPT.get(name, name): value for name, value in body.items()}


def said(kept: str) -> str:
    """What a member that is kept of a client is called in JSON."""
    return next((name for name, known in _KEPT.items() if known == kept), kept)


def app_json(document: Document, language: Language) -> dict[str, object]:
    body = document.body
    return {
        "id": document.key,
        "name": local(body, "name", language),
        "name_zh": body["name_zh"],
        "name_en": body["name_en"],
        "sample": body.get("sample", False),
    }
