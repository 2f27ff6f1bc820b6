"""Clients: what operators make known, and what everyone may see of it."""

from pathlib import Path
from typing import Any

import pytest

from services.identity.domain import clients, scopes
from tests.support.bureau import APP, FIRM, OFFICE, OPERATOR, REDIRECT, Bureau, claims_of
from tests.support.people import as_, plant, set_account
from tests.support.served import json_of, made, refused


def client(**changes: Any) -> dict[str, Any]:
    return {
        "id": "new-app",
        "kind": "app",
        "name_zh": "新应用",
        "name_en": "A new app",
        "redirect_uris": ["https://app.example/signed-in"],
        "scopes": ["openid"],
        "roles": [],
        **changes,
    }


FIRM_BODY = client(kind="firm", redirect_uris=[], scopes=["account:read"], roles=["partner"])
GATE_BODY = client(kind="service", redirect_uris=[], scopes=["tickets:check"], roles=["gate"])


@pytest.mark.parametrize("body", [client(), FIRM_BODY, GATE_BODY], ids=lambda body: body["kind"])
def test_a_client_is_made_known_with_a_secret_if_it_needs_one(
    bureau: Bureau, body: dict[str, Any]
) -> None:
    answer = bureau.post("/v1/clients", body, by=OPERATOR, key="once")
    kept = made(answer)
    assert (kept["secret"] is None) == (body["kind"] == "app")
    assert made(bureau.post("/v1/clients", body, by=OPERATOR, key="once")) == kept
    read = json_of(bureau.get("/v1/clients/new-app", by=OPERATOR))
    assert read == {name: value for name, value in kept.items() if name != "secret"}
    listed = json_of(bureau.get("/v1/clients", by=OPERATOR))["items"]
    assert {row["id"] for row in listed} == {APP, FIRM, "new-app"}
    if kept["secret"] is not None:
        assert kept["secret"].encode() not in bureau.stored()
        assert bureau.by_secret("new-app", kept["secret"]).status_code == 200


def test_a_client_says_what_it_is(bureau: Bureau) -> None:
    bureau.clock.pass_wall(seconds=1)
    answer = bureau.post("/v1/clients", GATE_BODY, by=OPERATOR)
    secret = made(answer)["secret"]
    assert len(secret) > 40
    said: dict[str, Any] = {
        "id": "new-app",
        "kind": "service",
        "name_zh": "新应用",
        "name_en": "A new app",
        "redirect_uris": [],
        "scopes": ["tickets:check"],
        "roles": ["gate"],
        "office": False,
        "state": "open",
        "made_at": "2026-01-01T00:00:01.000Z",
        "sample": False,
    }
    assert made(answer) == said | {"secret": secret}
    assert json_of(bureau.get("/v1/clients/new-app", by=OPERATOR)) == said
    sample = {
        "id": FIRM,
        "kind": "firm",
        "name_zh": "雪山物流",
        "name_en": "Snow Logistics",
        "redirect_uris": [],
        "scopes": ["account:read"],
        "roles": ["partner"],
        "office": False,
        "state": "open",
        "made_at": "2026-01-01T00:00:00.000Z",
        "sample": True,
    }
    assert json_of(bureau.get(f"/v1/clients/{FIRM}", by=OPERATOR)) == sample
    closed = made(bureau.post("/v1/clients/new-app/closure", by=OPERATOR))
    assert closed == said | {"state": "closed"}
    bureau.open_office()
    office = json_of(bureau.get(f"/v1/clients/{OFFICE}", by=OPERATOR))
    told = [office[name] for name in ("kind", "redirect_uris", "scopes", "office", "sample")]
    assert told == ["app", [REDIRECT], list(scopes.SCOPES), True, True]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"redirect_uris": []}, "redirect_uris"),
        ({"redirect_uris": ["http://app.example/x"]}, "redirect_uris.0"),
        ({"redirect_uris": [REDIRECT, REDIRECT]}, "redirect_uris.1"),
        ({"redirect_uris": ["https://app.example/x#y"]}, "redirect_uris.0"),
        ({"redirect_uris": ["https://app.example/x; script-src *"]}, "redirect_uris.0"),
        ({"redirect_uris": ["https://user@app.example/"]}, "redirect_uris.0"),
        ({"redirect_uris": ["javascript:alert"]}, "redirect_uris.0"),
        ({"redirect_uris": ["data:x"]}, "redirect_uris.0"),
        ({"redirect_uris": ["app:/x"]}, "redirect_uris.0"),
        ({"redirect_uris": ["https://"]}, "redirect_uris.0"),
        ({"scopes": ["everything"]}, "scopes"),
        ({"scopes": ["openid", "openid"]}, "scopes"),
        *(({"scopes": [name]}, "scopes") for name in sorted(scopes.OFFICE)),
        ({"roles": ["operator"]}, "roles"),
        ({**FIRM_BODY, "roles": []}, "roles"),
        ({**FIRM_BODY, "roles": ["operator"]}, "roles"),
        ({**FIRM_BODY, "roles": ["gate"]}, "roles"),
        ({**GATE_BODY, "roles": ["partner"]}, "roles"),
        ({**FIRM_BODY, "scopes": ["orders:read"]}, "scopes"),
        ({**FIRM_BODY, "redirect_uris": [REDIRECT]}, "redirect_uris"),
        ({"id": "X"}, "id"),
    ],
)
def test_what_could_be_no_client_is_named(
    bureau: Bureau, changes: dict[str, Any], field: str
) -> None:
    answer = bureau.post("/v1/clients", client(**changes), by=OPERATOR)
    refused(answer, 422, "invalid-request", field)


def test_a_client_is_known_once(bureau: Bureau) -> None:
    refused(bureau.post("/v1/clients", client(id=APP), by=OPERATOR), 409, "client-exists")


def test_what_was_said_of_a_client_can_be_changed_as_it_was_read(bureau: Bureau) -> None:
    tag = bureau.get(f"/v1/clients/{APP}", by=OPERATOR).headers["ETag"]
    body = {"redirect_uris": ["https://app.example/"], "name_zh": "改名"}

    def change(body: object, tag: str) -> Any:
        headers = {"If-Match": tag}
        return bureau.ask("PATCH", f"/v1/clients/{APP}", body, by=OPERATOR, headers=headers)

    assert json_of(change(body, tag))["redirect_uris"] == ["https://app.example/"]
    refused(change(body, tag), 412, "stale")
    bureau.clock.pass_monotonic(2)
    assert bureau.authorize().status_code == 400
    assert "改名" in bureau.authorize(redirect_uri="https://app.example/").text
    now = bureau.get(f"/v1/clients/{APP}", by=OPERATOR).headers["ETag"]
    refused(change({"redirect_uris": []}, now), 422, "invalid-request", "redirect_uris")
    made(bureau.post(f"/v1/clients/{APP}/closure", by=OPERATOR))
    now = bureau.get(f"/v1/clients/{APP}", by=OPERATOR).headers["ETag"]
    refused(change(body, now), 409, "client-closed")


def test_everyone_sees_apps_and_nothing_else(bureau: Bureau) -> None:
    made(bureau.post("/v1/clients", FIRM_BODY, by=OPERATOR))
    names = {"name_zh": "掌上甘肃", "name_en": "Gansu in Hand"}
    for language, name in (("zh", "掌上甘肃"), ("en", "Gansu in Hand")):
        headers = {"Accept-Language": language}
        app = {"id": APP, "name": name, **names, "sample": True}
        assert json_of(bureau.get(f"/v1/apps/{APP}", headers=headers)) == app
        assert json_of(bureau.get("/v1/apps", headers=headers)) == {"items": [app], "after": None}
    refused(bureau.get(f"/v1/apps/{FIRM}"), 404, "not-found")
    made(bureau.post(f"/v1/clients/{APP}/closure", by=OPERATOR))
    bureau.clock.pass_monotonic(2)
    refused(bureau.get(f"/v1/apps/{APP}"), 404, "not-found")
    assert json_of(bureau.get("/v1/apps"))["items"] == []


def test_an_app_has_no_secret_and_a_closed_client_no_new_one(bureau: Bureau) -> None:
    refused(bureau.post(f"/v1/clients/{APP}/secrets", by=OPERATOR), 409, "client-without-secret")
    made(bureau.post(f"/v1/clients/{FIRM}/closure", by=OPERATOR))
    refused(bureau.post(f"/v1/clients/{FIRM}/secrets", by=OPERATOR), 409, "client-closed")
    refused(bureau.post(f"/v1/clients/{FIRM}/closure", by=OPERATOR), 409, "client-closed")


def test_a_secret_that_is_asked_for_twice_is_the_same(bureau: Bureau) -> None:
    path = f"/v1/clients/{FIRM}/secrets"
    first = made(bureau.post(path, by=OPERATOR, key="once"))
    assert made(bureau.post(path, by=OPERATOR, key="once")) == first
    assert made(bureau.post(path, by=OPERATOR, key="twice"))["secret"] != first["secret"]


def test_who_is_operator_no_more_changes_nothing_by_a_token_of_before(bureau: Bureau) -> None:
    operator = plant(bureau, 1, "operator")
    token = as_(bureau, operator, "operator")
    tag = bureau.get(f"/v1/clients/{FIRM}", token=token).headers["ETag"]
    asked = [
        ("POST", "/v1/clients", FIRM_BODY, {}),
        ("POST", f"/v1/clients/{FIRM}/secrets", None, {}),
        ("PATCH", f"/v1/clients/{FIRM}", {"name_zh": "改名"}, {"If-Match": tag}),
        ("POST", f"/v1/clients/{FIRM}/closure", None, {}),
    ]
    for changes in ({"roles": ["citizen"]}, {"roles": ["operator"], "state": "closed"}):
        set_account(bureau, operator, **changes)
        before = bureau.database.read(lambda view: view.seq).value
        for method, path, body, headers in asked:
            answer = bureau.ask(method, path, body, token=token, headers=headers)
            refused(answer, 403, "forbidden")
        assert bureau.database.read(lambda view: view.seq).value == before


def test_who_is_operator_no_more_is_not_shown_a_secret_again(bureau: Bureau) -> None:
    operator = plant(bureau, 1, "operator")
    token = as_(bureau, operator, "operator")
    asked = [("/v1/clients", FIRM_BODY), (f"/v1/clients/{FIRM}/secrets", None)]
    for path, body in asked:
        made(bureau.post(path, body, token=token, key=path))
    set_account(bureau, operator, roles=["citizen"])
    for path, body in asked:
        refused(bureau.post(path, body, token=token, key=path), 403, "forbidden")


# The office's own app


def patch(bureau: Bureau, client: str, body: object) -> Any:
    path = f"/v1/clients/{client}"
    headers = {"If-Match": bureau.get(path, by=OPERATOR).headers["ETag"]}
    return bureau.ask("PATCH", path, body, by=OPERATOR, headers=headers)


def test_an_operator_makes_no_app_that_could_ask_for_an_officers_power(bureau: Bureau) -> None:
    """Neither a new one nor an old one: its address could be the operator's, the officer who
    signs in another one's.
    """
    asked = ["openid", "roles:write", "staff:write"]
    refused(
        bureau.post("/v1/clients", client(scopes=asked), by=OPERATOR),
        422,
        "invalid-request",
        "scopes",
    )
    refused(patch(bureau, APP, {"scopes": asked}), 422, "invalid-request", "scopes")


@pytest.mark.parametrize(
    "body", [{"redirect_uris": ["https://app.example/"]}, {"name_zh": "改名"}, {"scopes": []}]
)
def test_an_operator_does_not_change_the_offices_own_app(
    bureau: Bureau, body: dict[str, Any]
) -> None:
    bureau.open_office()
    before = bureau.get(f"/v1/clients/{OFFICE}", by=OPERATOR)
    assert json_of(before)["office"] is True
    refused(patch(bureau, OFFICE, body), 409, "client-of-the-office")
    closed = bureau.post(f"/v1/clients/{OFFICE}/closure", by=OPERATOR)
    refused(closed, 409, "client-of-the-office")
    assert bureau.get(f"/v1/clients/{OFFICE}", by=OPERATOR).data == before.data


def test_the_offices_own_app_asks_for_what_its_staff_may(tmp_path: Path) -> None:
    with Bureau(tmp_path, staff_by_number=True) as bureau:
        bureau.open_office()
        plant(bureau, 2, "security")
        asked = "openid roles:write clients:write"
        code = bureau.code_for_app("13800000002", client_id=OFFICE, scope=asked)
        token = json_of(bureau.redeem(code, client_id=OFFICE))["access_token"]
        assert claims_of(token)["scope"] == "openid roles:write"


def test_clients_of_before_have_no_power_unless_they_came_with_the_samples() -> None:
    [collection] = clients.COLLECTIONS
    old = {"kind": "app", "scopes": ["openid", "roles:write", "orders:read"]}
    assert collection.upgrade(old, 1) == {
        "kind": "app",
        "scopes": ["openid", "orders:read"],
        "office": False,
    }
    assert collection.upgrade({**old, "sample": True}, 1) == {
        **old,
        "sample": True,
        "office": True,
    }


# Who did it


def test_who_did_what_to_a_client_stands_where_the_auditor_reads_it(bureau: Bureau) -> None:
    first, second = (plant(bureau, place, "operator") for place in (1, 2))
    auditor = as_(bureau, plant(bureau, 3, "auditor"), "auditor")
    path = "/v1/clients/new-app"

    def did(by: str, path: str, body: object = None) -> None:
        bureau.clock.pass_wall(seconds=1)
        made(bureau.post(path, body, token=as_(bureau, by, "operator"), key=path))
        made(bureau.post(path, body, token=as_(bureau, by, "operator"), key=path))

    did(first, "/v1/clients", FIRM_BODY)
    bureau.clock.pass_wall(seconds=1)
    tag = {"If-Match": bureau.get(path, by=OPERATOR).headers["ETag"]}
    body = {"name_zh": "改名", "name_en": FIRM_BODY["name_en"], "scopes": []}
    asked = bureau.ask("PATCH", path, body, token=as_(bureau, second, "operator"), headers=tag)
    assert asked.status_code == 200
    did(second, f"{path}/secrets")
    did(first, f"{path}/closure")
    events = json_of(bureau.get("/v1/audit-events", token=auditor))["items"]
    assert {event["about"] for event in events} == {"new-app"}
    assert [(event["what"], event["by"], event["members"]) for event in reversed(events)] == [
        ("client_registered", first, []),
        ("client_changed", second, ["name_zh", "scopes"]),
        ("client_secret_renewed", second, []),
        ("client_closed", first, []),
    ]


def test_an_address_that_was_changed_is_named(bureau: Bureau) -> None:
    assert patch(bureau, APP, {"redirect_uris": ["https://app.example/"]}).status_code == 200
    [event] = json_of(bureau.get("/v1/audit-events", by=OPERATOR))["items"]
    assert (event["by"], event["members"]) == (OPERATOR, ["redirect_uris"])


def test_what_was_refused_is_no_event(bureau: Bureau) -> None:
    refused(patch(bureau, APP, {"redirect_uris": []}), 422, "invalid-request", "redirect_uris")
    refused(bureau.post(f"/v1/clients/{APP}/secrets", by=OPERATOR), 409, "client-without-secret")
    assert json_of(bureau.get("/v1/audit-events", by=OPERATOR))["items"] == []
