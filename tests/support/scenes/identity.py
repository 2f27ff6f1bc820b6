"""Identity's stage: accounts by the names that tokens have; a delegation under which station-1 acts
for citizen-1, and others that wait for a code; a firm; staff, and somebody to give roles to.
"""

from collections.abc import Callable
from datetime import date

from services.identity.actions import names as name_actions
from services.identity.actions.accounts import Sample, plant_accounts
from services.identity.domain import delegations, names
from shared.storage.access import Transaction
from tests.support.bureau import APP, Bureau
from tests.support.people import number_of
from tests.support.scenes.stage import Ids, Stage
from tests.support.served import Json, made
from tests.support.tokens import ROLES

_ACCOUNTS = [f"{name}-{number}" for number in (1, 2) for name in ROLES]
_PHONES = {account: str(13900000001 + place) for place, account in enumerate(_ACCOUNTS)}

VILLAGER = "13900000001"
"""citizen-1's number."""

_NUMBERS = {"citizen-1": number_of(date(1990, 1, 1)), "station-1": number_of(date(1985, 1, 1))}
_RELEASE = {"number": _NUMBERS["citizen-1"], "reason": "why"}
_A_CHILD = {"name": "张小", "number": number_of(date(2020, 1, 1))}


def _everybody(bureau: Bureau) -> None:
    """Two accounts of each role; a number leads to each, citizen-1's to that."""
    people = [
        Sample(account, ROLES[account[:-2]], bureau.secrets.phone(f"+86{phone}"))
        for account, phone in _PHONES.items()
    ]
    plant_accounts(bureau.database, people)


def _new_person(bureau: Bureau, *roles: str) -> str:
    """An account that nobody has done anything with."""
    place = bureau.new_key().removeprefix("key-")
    account = f"account_{int(place):032x}"
    phone = bureau.secrets.phone(f"+86{13700000000 + int(place)}")
    plant_accounts(bureau.database, [Sample(account, ["citizen", *roles], phone)])
    return account


def _furnish(bureau: Bureau) -> Ids:
    _everybody(bureau)
    # A number is sent few codes: those of the scene before are no longer counted.
    bureau.clock.pass_wall(hours=24)
    new = bureau.new_key()
    firm = _client(f"firm-{new}", kind="firm", redirect_uris=[], scopes=[], roles=["partner"])
    made(bureau.post("/v1/clients", firm, by="operator-1"))
    app = made(bureau.post("/v1/clients", _client(f"app-{new}"), by="operator-1"))
    delegation = _asked(bureau, "station-1", VILLAGER)
    given = {"code": bureau.code_sent()}
    made(bureau.post(f"/v1/delegations/{delegation}/confirmation", given, by="station-1"))
    member = made(bureau.post("/v1/staff", {"name": f"li.{new}"}, by="operator-1"))
    _change_roles(bureau)
    return {
        "client_id": app["id"],
        "firm": firm["id"],
        "delegation_id": delegation,
        "account_id": member["id"],
        "role_name": "merchant",
        "new": new,
        "slug": "client-exists",
    }


def _client(client: str, **changes: object) -> Json:
    return {
        "id": client,
        "kind": "app",
        "name_zh": "测试",
        "name_en": "Test",
        "redirect_uris": ["cn.gansu.test:/signed-in"],
        "scopes": ["openid"],
        "roles": [],
        **changes,
    }


def _asked(bureau: Bureau, agent: str, phone: str) -> str:
    return str(made(bureau.post("/v1/delegations", _delegation(agent, phone), by=agent))["id"])


def _delegation(agent: str, phone: str) -> Json:
    kind = "station_agent" if agent.startswith("station") else "guardian"
    return {"kind": kind, "phone": phone, "scopes": ["orders:read"], "days": 30}


def _change_roles(bureau: Bureau) -> None:
    """A change of roles, and one that waits for a second officer."""
    path = f"/v1/accounts/{_new_person(bureau)}/roles"
    made(bureau.post(path, _role("merchant"), by="operator-1"))
    made(bureau.post(f"{path}/merchant/withdrawal", {"reason": "why"}, by="operator-1"))
    made(bureau.post(path, _role("auditor"), by="security-1"))


def _role(role: str) -> Json:
    return {"role": role, "reason": "why"}


# Before


def _waiting(bureau: Bureau, ids: Ids) -> None:
    """A delegation of each side's that waits for its code."""
    for agent, phone in (("citizen-1", "13900000701"), ("station-1", "13900000702")):
        ids[f"{agent}.delegation_id"] = _asked(bureau, agent, phone)
        ids[f"{agent}.code"] = bureau.code_sent()


def _used(bureau: Bureau, ids: Ids) -> None:
    def change(tx: Transaction) -> None:
        act = delegations.new_act(ids["delegation_id"], APP, ["orders:read"], tx.now_ms)
        tx.put("acts", tx.new_id("act"), act)

    bureau.database.transact(change)


def _verified(bureau: Bureau, _: Ids) -> None:
    now_ms = bureau.clock.now_ms()
    for account, number in _NUMBERS.items():
        person = names.person("张三", number, now_ms, f"+86{_PHONES[account]}")
        name_actions.verify(bureau.database, bureau.registry(), account, person, now_ms)


def _guarded(bureau: Bureau, ids: Ids) -> None:
    _verified(bureau, ids)
    ids["person_id"] = made(bureau.post("/v1/children", _A_CHILD, by="citizen-1"))["person_id"]


def _released(bureau: Bureau, ids: Ids) -> None:
    _verified(bureau, ids)
    made(bureau.post("/v1/number-releases", _RELEASE, by="security-1"))


def _person(bureau: Bureau, ids: Ids) -> None:
    ids["account_id"] = _new_person(bureau)


def _of_two(bureau: Bureau, ids: Ids) -> None:
    """A role that an operator keeps, and one that officers do: each on an account of its own."""
    ids["account_id"] = _new_person(bureau, "merchant")
    ids |= {"security-1.account_id": _new_person(bureau, "auditor")}
    ids |= {"security-1.role_name": "auditor"}


def _requested(bureau: Bureau, ids: Ids) -> None:
    """What the second officer asked for, and the first one may agree to."""
    ids |= {"account_id": _new_person(bureau), "role_name": "auditor"}
    path = f"/v1/accounts/{ids['account_id']}/roles"
    made(bureau.post(path, _role("auditor"), by="security-2"))


def _to_firm(_: Bureau, ids: Ids) -> None:
    ids["client_id"] = ids["firm"]


def _asked_by(ids: Ids, who: str) -> Ids:
    theirs = {
        name.removeprefix(f"{who}."): each
        for name, each in ids.items()
        if name.startswith(f"{who}.")
    }
    return {**ids, "who": who, **theirs}


def _adult(ids: Ids) -> Json:
    return {"name": "张三", "number": _NUMBERS[ids["who"]], "phone": _PHONES[ids["who"]]}


_NEW_ROLE = "POST /v1/accounts/{account_id}/roles"

_BEFORE: dict[str, Callable[[Bureau, Ids], None]] = {
    "GET /v1/account/name": _verified,
    "POST /v1/account/name/erasure": _verified,
    "POST /v1/children": _verified,
    "POST /v1/children/{person_id}/name/erasure": _guarded,
    "GET /v1/children/{person_id}/guardianships": _guarded,
    "POST /v1/delegations/{delegation_id}/confirmation": _waiting,
    "GET /v1/delegations-held": _waiting,
    "GET /v1/delegations/{delegation_id}/acts": _used,
    "POST /v1/clients/{client_id}/secrets": _to_firm,
    "POST /v1/number-releases": _verified,
    "GET /v1/number-releases": _released,
    _NEW_ROLE: _person,
    f"{_NEW_ROLE}/{{role_name}}/agreement": _requested,
    f"{_NEW_ROLE}/{{role_name}}/withdrawal": _of_two,
}

STAGE = Stage(
    _furnish,
    before=_BEFORE,
    bodies={
        "POST /v1/clients": lambda ids: _client(f"new-{ids['new']}"),
        "POST /v1/staff": lambda ids: {"name": f"wang.{ids['new']}"},
        "POST /v1/account/name": _adult,
        "POST /v1/number-releases": lambda _: _RELEASE,
        "POST /v1/children": lambda _: _A_CHILD,
        "POST /v1/delegations": lambda ids: _delegation(ids["who"], "13900000703"),
        "POST /v1/delegations/{delegation_id}/confirmation": lambda ids: {"code": ids["code"]},
        _NEW_ROLE: lambda ids: _role(
            "auditor" if ids["who"].startswith("security") else "merchant"
        ),
    },
    asked_by=_asked_by,
)
