"""Clients (RFC 6749, section 2): apps that people sign in to, partner firms, service accounts.

An *app* is public: what it ships to phones is no secret, so it proves by PKCE that it began what
it ends. A *firm* or *service* acts for itself and proves who it is by a secret. Secrets are not
stored, nor digests of them: they follow from the client's id, a number and identity's own key.

The *office's own* apps are those that staff sign in to for what gives power (`scopes.OFFICE`). Whom
they send an officer's code to is not for one operator to say: they come with the platform alone.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from services.identity.domain import scopes
from shared.errors import Problem, Refused, invalid
from shared.storage.catalogue import Body, Collection, Index
from shared.times import DAY_MS


def _of_before(client: Body) -> Body:
    """A client from before there were apps of the office. Whose app it was cannot be told: but for
    the samples', none keeps a scope that gives power.
    """
    office = client["kind"] == "app" and bool(client.get("sample"))
    kept = [name for name in client["scopes"] if office or name not in scopes.OFFICE]
    return {**client, "scopes": kept, "office": office}


COLLECTIONS = (
    Collection(
        "clients",
        version=2,
        upgrades={1: _of_before},
        indexes=(
            Index("clients_by_time", ("made_ms",)),
            Index("clients_by_kind", ("kind", "state")),
        ),
    ),
)

KINDS = ("app", "firm", "service")
STATES = ("open", "closed")
REDIRECTS_MAX = 10
SCOPES_MAX = 50
SECRET_OVERLAP_MS = 7 * DAY_MS
"""How long the secret before the newest one goes on, so that a firm can change it without a gap."""

SERVICE_ROLES = ("gate",)
"""What a service account can be: a device, never somebody's stand-in."""

CLIENT_EXISTS = Problem(
    "client-exists", 409, "该客户端标识已被使用", "There is such a client already"
)
CLIENT_CLOSED = Problem("client-closed", 409, "该客户端已停用", "The client is closed")
CLIENT_OF_OFFICE = Problem(
    "client-of-the-office",
    409,
    "该客户端属于管理平台，只能由平台命令更改",
    "The office's own app is changed by a command of the platform alone",
)
NO_SECRET = Problem("client-without-secret", 409, "应用没有密钥", "An app has no secret")

# An https address without a fragment (RFC 6749, section 3.1.2), or an app's own scheme, which has
# a domain's name backwards in it (RFC 8252, section 7.1). No character that means something to a
# policy or a header.
_HOST = r"[a-z0-9]([a-z0-9.-]{0,200}[a-z0-9])?"
_PATH = r"(/[A-Za-z0-9._~/-]{0,300})?"
REDIRECT = (
    rf"^(https://{_HOST}(:[0-9]{{1,5}})?{_PATH}(\?[A-Za-z0-9._~=&-]{{1,200}})?"
    rf"|[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+:{_PATH})$"
)
_REDIRECT = re.compile(REDIRECT)


@dataclass(frozen=True, slots=True)
class Registration:
    """What is said of a client when it is made known."""

    kind: str
    name_zh: str
    name_en: str
    redirects: Sequence[str]
    scopes: Sequence[str]
    roles: Sequence[str]
    office: bool = False


def check(registration: Registration) -> None:
    """Raise Refused(INVALID) for a client that could not be one."""
    if registration.kind == "app":
        _check_app(registration)
    else:
        _check_own(registration)
    if len(set(registration.scopes)) < len(registration.scopes):
        raise invalid("scopes", "不能重复", "may not be named twice")
    unknown = [name for name in registration.scopes if name not in scopes.SCOPES]
    if unknown:
        raise invalid("scopes", f"没有此权限：{unknown[0]}", f"{unknown[0]} is no scope")
    powers = [name for name in registration.scopes if name in scopes.OFFICE]
    if powers and not registration.office:
        name = powers[0]
        raise invalid("scopes", f"仅限管理平台：{name}", f"{name} is for the office's own app")


def _check_app(registration: Registration) -> None:
    if not registration.redirects:
        raise invalid("redirect_uris", "应用至少要有一个", "an app needs one at least")
    for place, address in enumerate(registration.redirects):
        if not _REDIRECT.fullmatch(address) or address in registration.redirects[:place]:
            raise invalid(
                f"redirect_uris.{place}",
                "须为 https 网址或应用自有 scheme，且不重复",
                "has to be an https address or of an app's own scheme, once",
            )
    if registration.roles:
        raise invalid("roles", "应用没有自己的角色", "an app has none of its own")


def _check_own(registration: Registration) -> None:
    if registration.redirects:
        raise invalid("redirect_uris", "仅应用可以有", "are for apps alone")
    wanted = ("partner",) if registration.kind == "firm" else SERVICE_ROLES
    if len(registration.roles) != 1 or registration.roles[0] not in wanted:
        names = ", ".join(wanted)
        raise invalid("roles", f"须为：{names}", f"have to be {names}")
    denied = set(registration.scopes) - set(scopes.granted(registration.scopes, registration.roles))
    if denied:
        name = min(denied)
        raise invalid("scopes", f"此角色不能有：{name}", f"{name} is not for this role")


def new_client(registration: Registration, now_ms: int) -> Body:
    """A client as it is kept."""
    return {
        "kind": registration.kind,
        "name_zh": registration.name_zh,
        "name_en": registration.name_en,
        "redirects": list(registration.redirects),
        "scopes": list(registration.scopes),
        "roles": list(registration.roles),
        "office": registration.office,
        "state": "open",
        "secret": 1,
        "secret_ms": now_ms,
        "made_ms": now_ms,
    }


def change(client: Body, changes: Body) -> list[str]:
    """Change what was said of a client; which members are otherwise now. Raises INVALID,
    CLIENT_CLOSED, CLIENT_OF_OFFICE.
    """
    _check_not_of_office(client)
    check_open(client)
    changed = [name for name, value in changes.items() if client[name] != value]
    client.update(changes)
    check(
        Registration(
            client["kind"],
            client["name_zh"],
            client["name_en"],
            client["redirects"],
            client["scopes"],
            client["roles"],
        )
    )
    return changed


def secret_numbers(client: Body, now_ms: int) -> list[int]:
    """The numbers of the secrets that a client may prove itself by."""
    newest = int(client["secret"])
    overlaps = newest > 1 and now_ms < client["secret_ms"] + SECRET_OVERLAP_MS
    return [newest, newest - 1] if overlaps else [newest]


def renew_secret(client: Body, now_ms: int) -> None:
    """Begin a new secret; the one before goes on for a while. Raises NO_SECRET, CLIENT_CLOSED."""
    if client["kind"] == "app":
        raise Refused(NO_SECRET)
    check_open(client)
    client["secret"] += 1
    client["secret_ms"] = now_ms


def close(client: Body) -> None:
    """Let it get no more tokens. Raises CLIENT_CLOSED, CLIENT_OF_OFFICE."""
    _check_not_of_office(client)
    check_open(client)
    client["state"] = "closed"


def become_office(client: Body, registration: Registration) -> None:
    """Let an app be the office's own, as it is said now; scopes that it has beside go on. Raises
    CLIENT_EXISTS for what is no app.
    """
    if client["kind"] != registration.kind:
        raise Refused(CLIENT_EXISTS)
    beside = [name for name in client["scopes"] if name not in registration.scopes]
    client.update(
        name_zh=registration.name_zh,
        name_en=registration.name_en,
        redirects=list(registration.redirects),
        scopes=[*registration.scopes, *beside],
        office=True,
        state="open",
    )


def _check_not_of_office(client: Body) -> None:
    if client["office"]:
        raise Refused(CLIENT_OF_OFFICE)


def check_open(client: Body) -> None:
    if client["state"] != "open":
        raise Refused(CLIENT_CLOSED)
