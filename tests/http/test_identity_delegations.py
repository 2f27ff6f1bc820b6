"""Acting for others: consent by code, bounded terms, short tokens, an end at any time."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from services.identity.actions.exchange import ACCESS_TOKEN, DELEGATION, GRANT_TYPE
from services.identity.domain import delegations
from shared.sealing import KEPT_SECONDS
from shared.storage.memory import refuse
from shared.storage.objects import Denied
from shared.times import midnight_ms
from tests.support.bureau import APP, Bureau, claims_of, denied, given
from tests.support.people import as_, number_of, own_name, plant
from tests.support.served import Json, json_of, made, refused

VILLAGER = "13800000007"
ACTING = "account:read delegations:read delegations:write orders:read"
ASKED = {
    "kind": "station_agent",
    "phone": VILLAGER,
    "scopes": ["orders:read", "orders:write"],
    "days": 30,
}


class Village:
    """A station's agent and a villager, each signed in to the one app."""

    def __init__(self, bureau: Bureau) -> None:
        self.bureau = bureau
        self.agent = plant(bureau, 8, "station_agent")
        self.operator = plant(bureau, 9, "operator")
        self.sign_in()

    def sign_in(self) -> None:
        self.agents = as_(self.bureau, self.agent, "station_agent")
        self.actor = self.actor_of("13800000008")

    def actor_of(self, number: str) -> str:
        """What somebody is given who signs in to act for others."""
        return str(self.bureau.sign_in(number, scope=ACTING)["access_token"])

    def signed(self, token: str, **changes: object) -> str:
        """A token that says something else, by identity's own key."""
        claims = {**claims_of(token), **changes}
        return self.bureau.database.transact(
            lambda tx: self.bureau.keys.sign(tx, "at+jwt", claims)
        ).value

    def ask(self, **changes: object) -> Json:
        return made(self.bureau.post("/v1/delegations", {**ASKED, **changes}, token=self.agents))

    def confirm(self, delegation: str, code: str | None = None) -> TestResponse:
        return self.bureau.post(
            f"/v1/delegations/{delegation}/confirmation",
            {"code": code or self.bureau.code_sent()},
            token=self.agents,
        )

    def live(self, **changes: object) -> str:
        delegation = str(self.ask(**changes)["id"])
        assert made(self.confirm(delegation))["state"] == "live"
        return delegation

    def exchange(self, delegation: str, **changes: str) -> TestResponse:
        values = {
            "grant_type": GRANT_TYPE,
            "client_id": APP,
            "subject_token": delegation,
            "subject_token_type": DELEGATION,
            "actor_token": self.actor,
            "actor_token_type": ACCESS_TOKEN,
            **changes,
        }
        return self.bureau.form("/token", values)

    def villager(self) -> str:
        """A token of the villager's own, for whatever a citizen may ask."""
        phone = self.bureau.secrets.phone(f"+86{VILLAGER}")
        found = self.bureau.database.read(lambda view: view.require("phones", phone))
        return as_(self.bureau, found.value.body["account"], "citizen")


@pytest.fixture
def village(tmp_path: Path) -> Iterator[Village]:
    with Bureau(tmp_path, staff_by_number=True) as bureau:
        yield Village(bureau)


def no_token(answer: TestResponse, error: str = "invalid_grant") -> None:
    assert answer.status_code == 400, answer.text
    assert json_of(answer) == {"error": error}


def test_an_agent_asks_the_villager_consents_and_the_token_says_both(village: Village) -> None:
    asked = village.ask()
    assert (asked["state"], asked["person_id"]) == ("waiting", None)
    no_token(village.exchange(asked["id"]))
    live = made(village.confirm(asked["id"]))
    answer = village.exchange(asked["id"])
    assert answer.status_code == 200, answer.text
    given = json_of(answer)
    claims = claims_of(given["access_token"])
    assert claims["sub"] == live["person_id"] != village.agent
    assert claims["act"] == {
        "sub": village.agent,
        "kind": "station_agent",
        "delegation": asked["id"],
    }
    assert (claims["roles"], claims["aud"]) == (["citizen"], ["commerce"])
    assert claims["scope"] == given["scope"] == "orders:read orders:write"
    assert claims["exp"] - claims["iat"] == given["expires_in"] == delegations.TOKEN_SECONDS
    assert "refresh_token" not in given


def test_the_message_says_who_asks_for_what_and_goes_to_the_villager(village: Village) -> None:
    village.ask()
    message = village.bureau.messages()[-1]
    assert message.recipient == f"+86{VILLAGER}"
    assert message.text.zh.startswith("代办员申请代您办理订单（30天）。")
    assert "a station agent asks to act for you for 30 days: orders." in message.text.en


def test_no_token_says_more_than_was_delegated(village: Village) -> None:
    delegation = village.live(scopes=["orders:read"])
    claims = claims_of(json_of(village.exchange(delegation))["access_token"])
    assert claims["scope"] == "orders:read"
    wide = village.exchange(delegation, scope="orders:read orders:write account:read tickets:read")
    assert json_of(wide)["scope"] == "orders:read"
    no_token(village.exchange(delegation, scope="orders:write"), "invalid_scope")


def test_a_delegation_that_was_taken_back_gives_no_token(village: Village) -> None:
    bureau = village.bureau
    operator = as_(bureau, village.operator, "operator")
    for by in (village.villager, lambda: village.agents, lambda: operator):
        delegation = village.live()
        assert village.exchange(delegation).status_code == 200
        ended = made(bureau.post(f"/v1/delegations/{delegation}/end", token=by()))
        assert ended["state"] == "taken_back"
        no_token(village.exchange(delegation))
        refused(village.confirm(delegation, "123456"), 409, "delegation-over")
        bureau.clock.pass_wall(seconds=60)
        village.sign_in()


def test_a_term_ends_and_no_token_outlives_it(village: Village) -> None:
    delegation = village.live(days=1)
    village.bureau.clock.pass_wall(hours=24, seconds=-100)
    village.sign_in()
    assert json_of(village.exchange(delegation))["expires_in"] == 100
    village.bureau.clock.pass_wall(seconds=100)
    no_token(village.exchange(delegation))


def test_what_is_anothers_is_not_there(village: Village) -> None:
    bureau = village.bureau
    delegation = village.live()
    other = plant(bureau, 10, "station_agent")
    stranger = as_(bureau, other, "station_agent")
    code = {"code": bureau.code_sent()}
    path = f"/v1/delegations/{delegation}"
    refused(bureau.post(f"{path}/confirmation", code, token=stranger), 404, "not-found")
    refused(bureau.post(f"{path}/end", token=stranger), 404, "not-found")
    refused(bureau.get(f"{path}/acts", token=stranger), 404, "not-found")
    bureau.clock.pass_wall(seconds=60)
    actor = village.actor_of("13800000010")
    no_token(village.exchange(delegation, actor_token=actor))
    no_token(village.exchange("delegation_" + "0" * 32))
    no_token(village.exchange(delegation, actor_token="not.a.token"))
    no_token(village.exchange(delegation, client_id="snow-logistics"), "invalid_client")


def test_nobody_acts_through_a_person_for_another(village: Village) -> None:
    bureau = village.bureau
    first = village.live()
    villager = village.villager()
    elder = {"kind": "guardian", "phone": "13800000021", "scopes": ["orders:read"], "days": 30}
    second = made(bureau.post("/v1/delegations", elder, token=villager))["id"]
    code = {"code": bureau.code_sent()}
    made(bureau.post(f"/v1/delegations/{second}/confirmation", code, token=villager))
    acting = json_of(village.exchange(first))["access_token"]
    no_token(village.exchange(second, actor_token=acting))
    # Not even if it were one for identity.
    wider = village.signed(acting, aud=["identity"], scope="delegations:write")
    no_token(village.exchange(second, actor_token=wider))
    bureau.clock.pass_wall(seconds=60)
    own = village.actor_of(VILLAGER)
    assert village.exchange(second, actor_token=own).status_code == 200


def test_a_token_that_a_service_was_shown_is_no_actors(village: Village) -> None:
    """A token for commerce alone, and what would do of it by half; then one that does."""
    village.agent = plant(village.bureau, 15, "citizen", "station_agent")
    village.agents = as_(village.bureau, village.agent, "station_agent")
    delegation = village.live()
    leaked = village.bureau.sign_in("13800000015", scope="orders:read")["access_token"]
    assert claims_of(leaked)["aud"] == ["commerce"]
    no_token(village.exchange(delegation, actor_token=leaked))
    aud, scope = ["commerce", "identity"], "orders:read delegations:write"
    for changes, status in (
        ({"aud": ["commerce"], "scope": scope}, 400),
        ({"aud": aud, "scope": "orders:read account:read"}, 400),
        ({"aud": aud, "scope": scope}, 200),
    ):
        token = village.signed(leaked, **changes)
        assert village.exchange(delegation, actor_token=token).status_code == status, changes


@pytest.mark.parametrize("ended", ["signed out", "used twice", "too late", "forgotten"])
def test_a_sign_in_that_has_ended_gives_no_token_for_anybody_else(
    village: Village, ended: str
) -> None:
    """The token that it gave is good for some minutes yet."""
    bureau, delegation = village.bureau, village.live()
    bureau.clock.pass_wall(seconds=61)
    tokens = bureau.sign_in("13800000008", scope=ACTING)
    held, refresh = tokens["access_token"], tokens["refresh_token"]
    assert village.exchange(delegation, actor_token=held).status_code == 200
    if ended == "signed out":
        assert bureau.form("/revoke", {"client_id": APP, "token": refresh}).status_code == 200
    elif ended == "used twice":
        newest = given(bureau.refresh(refresh))["refresh_token"]
        held = given(bureau.refresh(newest))["access_token"]
        denied(bureau.refresh(refresh), "invalid_grant")
    else:
        bureau.clock.pass_wall(hours=1 if ended == "too late" else 72)
        held = village.signed(held, exp=bureau.clock.now_ms() // 1000 + 60)
        if ended == "forgotten":
            bureau.database.transact(bureau.upkeep.change)
    no_token(village.exchange(delegation, actor_token=held))


def test_who_is_an_agent_no_longer_gets_no_token(village: Village) -> None:
    bureau = village.bureau
    delegation = village.live()
    token = as_(bureau, village.operator, "operator")
    path = f"/v1/accounts/{village.agent}/roles/station_agent/withdrawal"
    made(bureau.post(path, {"reason": "left"}, token=token))
    no_token(village.exchange(delegation))
    refused(bureau.post("/v1/delegations", ASKED, token=village.agents), 409, "not-an-agent")


def test_who_becomes_an_agent_acts_by_a_sign_in_of_afterwards(village: Village) -> None:
    bureau = village.bureau
    before = bureau.sign_in("13800000014", scope=ACTING)
    village.agent, village.actor = claims_of(before["access_token"])["sub"], before["access_token"]
    give = {"role": "station_agent", "reason": "new here"}
    operators = as_(bureau, village.operator, "operator")
    made(bureau.post(f"/v1/accounts/{village.agent}/roles", give, token=operators))
    denied(bureau.refresh(before["refresh_token"]), "invalid_grant")
    village.agents = as_(bureau, village.agent, "station_agent")
    delegation = village.live()
    no_token(village.exchange(delegation))
    bureau.clock.pass_wall(seconds=61)
    again = bureau.sign_in("13800000014", scope=ACTING)
    assert village.exchange(delegation, actor_token=again["access_token"]).status_code == 200
    # One role more changes nothing about who they are: no sign-in ends.
    give = {"role": "clinician", "reason": "a nurse as well"}
    made(bureau.post(f"/v1/accounts/{village.agent}/roles", give, token=operators))
    assert bureau.refresh(again["refresh_token"]).status_code == 200


def test_the_villager_sees_who_may_act_and_when_it_was_used(village: Village) -> None:
    bureau = village.bureau
    delegation = village.live()
    for _ in range(2):
        bureau.clock.pass_wall(seconds=60)
        assert village.exchange(delegation, scope="orders:read").status_code == 200
    token = village.villager()
    [seen] = json_of(bureau.get("/v1/delegations", token=token))["items"]
    assert (seen["id"], seen["agent_id"]) == (delegation, village.agent)
    acts = json_of(bureau.get(f"/v1/delegations/{delegation}/acts", token=token))["items"]
    assert [act["scopes"] for act in acts] == [["orders:read"]] * 2
    assert acts[0]["at"] > acts[1]["at"]


def test_tokens_and_codes_are_bounded(village: Village) -> None:
    delegation = village.live()
    for _ in range(delegations.TOKENS.most):
        assert village.exchange(delegation).status_code == 200
    no_token(village.exchange(delegation), "slow_down")
    refused(
        village.bureau.post("/v1/delegations", ASKED, token=village.agents), 429, "too-many-codes"
    )


def test_five_wrong_codes_end_it(village: Village) -> None:
    delegation = village.ask()["id"]
    right = village.bureau.code_sent()
    wrong = f"{(int(right) + 1) % 10**6:06d}"
    for _ in range(delegations.TRIES_MAX):
        refused(village.confirm(delegation, wrong), 409, "delegation-code-wrong")
    refused(village.confirm(delegation, right), 409, "delegation-over")


def test_a_repeated_confirmation_is_answered_again(village: Village) -> None:
    delegation = village.ask()["id"]
    code = village.bureau.code_sent()
    assert made(village.confirm(delegation, code)) == made(village.confirm(delegation, code))


# Children

MOTHER = own_name(11, "李梅", date(1985, 3, 3))
ELSEWHERE = {**MOTHER, "phone": "13800000012"}
BORN = date(2012, 1, 3)
CHILD = {"name": "王小明", "number": number_of(BORN, 7)}


def mother(village: Village) -> str:
    account = plant(village.bureau, 11, "citizen")
    token = as_(village.bureau, account, "citizen")
    made(village.bureau.post("/v1/account/name", MOTHER, token=token))
    return token


def test_a_guardianship_ends_with_the_fourteenth_birthday(village: Village) -> None:
    bureau = village.bureau
    token = mother(village)
    made_ = made(bureau.post("/v1/children", CHILD, token=token))
    assert (made_["kind"], made_["state"], made_["ends_at"]) == ("guardian", "live", None)
    turning = midnight_ms(date(2026, 1, 3))
    bureau.clock.wall_ms = turning - 120_000
    actor = village.actor_of("13800000011")
    bureau.clock.wall_ms = turning - 60_000
    answer = village.exchange(made_["id"], actor_token=actor)
    assert answer.status_code == 200, answer.text
    claims = claims_of(json_of(answer)["access_token"])
    assert (claims["act"]["kind"], claims["exp"]) == ("guardian", turning // 1000)
    bureau.clock.wall_ms = turning
    no_token(village.exchange(made_["id"], actor_token=actor))


def test_nobody_but_the_guardian_has_a_guardianship_looked_up(village: Village) -> None:
    bureau = village.bureau
    guardianship = made(bureau.post("/v1/children", CHILD, token=mother(village)))["id"]
    actor = village.actor_of("13800000011")
    bureau.clock.pass_monotonic(KEPT_SECONDS + 1)
    bureau.store.inject("get", refuse(Denied("403")), key="identity/keys/", times=9)
    for other in (village.actor, "not.a.token", ""):
        no_token(village.exchange(guardianship, actor_token=other))
    answer = village.exchange(guardianship, actor_token=actor)
    assert (answer.status_code, json_of(answer)) == (503, {"error": "temporarily_unavailable"})


def test_both_parents_get_the_one_account_and_a_repeat_the_one_guardianship(
    village: Village,
) -> None:
    bureau = village.bureau
    token = mother(village)
    first = made(bureau.post("/v1/children", CHILD, token=token))
    assert made(bureau.post("/v1/children", CHILD, token=token))["id"] == first["id"]
    father = as_(bureau, plant(bureau, 12, "citizen"), "citizen")
    person = own_name(12, "王强", date(1984, 1, 1))
    made(bureau.post("/v1/account/name", person, token=father))
    second = made(bureau.post("/v1/children", CHILD, token=father))
    assert second["id"] != first["id"]
    assert second["person_id"] == first["person_id"]


def test_only_a_verified_guardian_of_a_child_under_fourteen_acts(village: Village) -> None:
    bureau = village.bureau
    stranger = as_(bureau, plant(bureau, 12, "citizen"), "citizen")
    refused(bureau.post("/v1/children", CHILD, token=stranger), 409, "own-name-needed")
    token = mother(village)
    grown = {"name": "王大", "number": number_of(date(2012, 1, 1))}
    refused(bureau.post("/v1/children", grown, token=token), 409, "not-a-child")
    bureau.authority.unrelated.add(CHILD["number"])
    refused(bureau.post("/v1/children", CHILD, token=token), 409, "not-a-guardian")
    bureau.authority.strangers.add(CHILD["number"])
    refused(bureau.post("/v1/children", CHILD, token=token), 409, "name-not-verified")


def test_who_has_turned_fourteen_takes_the_number_to_an_account_of_their_own(
    village: Village,
) -> None:
    bureau = village.bureau
    made(bureau.post("/v1/children", CHILD, token=mother(village)))
    own = plant(bureau, 13, "citizen")
    grown = {**CHILD, "phone": "13800000013"}
    early = bureau.post("/v1/account/name", grown, token=as_(bureau, own, "citizen"))
    refused(early, 409, "guardian-needed")
    bureau.clock.wall_ms = midnight_ms(date(2026, 1, 3))
    made(bureau.post("/v1/account/name", grown, token=as_(bureau, own, "citizen")))


# Names


def test_a_name_is_shown_masked_and_stands_nowhere_in_clear(village: Village) -> None:
    bureau = village.bureau
    token = mother(village)
    made(bureau.post("/v1/children", CHILD, token=token))
    village.live()
    seen = json_of(bureau.get("/v1/account/name", token=token))
    assert (seen["name"], seen["number"]) == ("李*", f"6{'*' * 16}{MOTHER['number'][-1]}")
    stored = bureau.stored() + b"".join(bureau.log)
    for said in (*MOTHER.values(), *CHILD.values(), VILLAGER, "20120103", "2026-01-03"):
        assert said.encode() not in stored
    assert str(midnight_ms(date(2026, 1, 3))).encode() not in stored


def test_one_account_for_a_number_and_one_number_for_an_account(village: Village) -> None:
    bureau = village.bureau
    token = mother(village)
    assert made(bureau.post("/v1/account/name", MOTHER, token=token))["name"] == "李*"
    other = as_(bureau, plant(bureau, 12, "citizen"), "citizen")
    refused(bureau.post("/v1/account/name", ELSEWHERE, token=other), 409, "id-number-taken")
    another = own_name(11, "李梅", date(1985, 3, 4))
    refused(bureau.post("/v1/account/name", another, token=token), 409, "name-known")


def test_an_authority_that_does_not_answer_verifies_nobody(village: Village) -> None:
    bureau = village.bureau
    token = as_(bureau, plant(bureau, 12, "citizen"), "citizen")
    bureau.authority.is_down = True
    answer = bureau.post("/v1/account/name", ELSEWHERE, token=token)
    refused(answer, 503, "verifier-unavailable")
    refused(bureau.get("/v1/account/name", token=token), 404, "not-found")
    bureau.authority.is_down = False
    for _ in range(9):
        bureau.authority.strangers.add(MOTHER["number"])
        refused(bureau.post("/v1/account/name", ELSEWHERE, token=token), 409, "name-not-verified")
    refused(bureau.post("/v1/account/name", ELSEWHERE, token=token), 429, "too-many-codes")


def test_a_forgotten_name_is_unreadable_in_every_old_entry(village: Village) -> None:
    bureau = village.bureau
    token = mother(village)
    made(bureau.post("/v1/account/name/erasure", token=token))
    refused(bureau.get("/v1/account/name", token=token), 404, "not-found")
    assert bureau.store.list("identity/keys/") == []
    other = as_(bureau, plant(bureau, 12, "citizen"), "citizen")
    made(bureau.post("/v1/account/name", ELSEWHERE, token=other))
