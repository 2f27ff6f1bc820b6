"""Bounds of acting for others and of what is kept: how many, of whom, by whom, and for how long."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from services.identity.actions import staff as staff_actions
from services.identity.actions.staff import Enrolment
from services.identity.domain import CATALOGUE, delegations, names, staff
from shared.errors import Refused
from shared.storage.access import Transaction
from shared.times import DAY_MS
from tests.http.test_identity_delegations import (
    ASKED,
    CHILD,
    VILLAGER,
    Village,
    mother,
    no_token,
)
from tests.support.bureau import CODES_PER_MINUTE, Bureau
from tests.support.people import PASSWORD, as_, number_of, plant, set_account
from tests.support.served import Json, json_of, made, refused


@pytest.fixture
def village(tmp_path: Path) -> Iterator[Village]:
    with Bureau(tmp_path, staff_by_number=True) as bureau:
        yield Village(bureau)


def shown(village: Village) -> Json:
    """The agent's newest delegation, as the agent sees it."""
    token = as_(village.bureau, village.agent, "station_agent")
    newest: Json = json_of(village.bureau.get("/v1/delegations-held", token=token))["items"][0]
    return newest


# How many


def test_children_are_asked_after_few_times_a_day(village: Village) -> None:
    """Or whoever is somebody's child would be told by who tries."""
    bureau, token = village.bureau, mother(village)
    bureau.authority.unrelated.add(CHILD["number"])
    tries = names.ATTEMPTS.most - 1
    for _ in range(tries):
        refused(bureau.post("/v1/children", CHILD, token=token), 409, "not-a-guardian")
    refused(bureau.post("/v1/children", CHILD, token=token), 429, "too-many-codes")


def test_an_agent_has_so_many_people_sent_a_code_a_day(village: Village) -> None:
    for place in range(delegations.ASKED.most):
        village.ask(phone=f"137{place:08d}")
    late = {**ASKED, "phone": "13611111111"}
    path = "/v1/delegations"
    refused(village.bureau.post(path, late, token=village.agents), 429, "too-many-codes")
    village.bureau.clock.pass_wall(hours=24)
    village.sign_in()
    made(village.bureau.post(path, late, token=village.agents))


def test_what_agents_have_sent_counts_for_all_numbers_together(village: Village) -> None:
    bureau = village.bureau
    for place in range(CODES_PER_MINUTE - 1):
        answer = bureau.ask_code(f"139{place:08d}", address=f"198.51.100.{place}")
        assert answer.status_code == 200
    # The agent's own sign-in was sent one.
    late = bureau.post("/v1/delegations", ASKED, token=village.agents)
    refused(late, 429, "too-many-codes")
    assert late.headers["Retry-After"] == "60"
    bureau.clock.pass_wall(seconds=60)
    village.ask()


def test_so_many_act_for_one_person_until_one_ends(
    village: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delegations, "STANDING_MAX", 2)
    for days in (1, 2):
        village.live(days=days)
        village.bureau.clock.pass_wall(seconds=61)
    refused(village.confirm(village.ask()["id"]), 409, "too-many-delegations")
    village.bureau.clock.pass_wall(hours=24)
    village.sign_in()
    village.live()


def test_a_guardian_acts_for_so_many_children(
    village: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delegations, "STANDING_MAX", 2)
    bureau, token = village.bureau, mother(village)
    born = (date(2015, 1, day) for day in (1, 2, 3))
    first, second, third = ({"name": "王小明", "number": number_of(day, 7)} for day in born)
    ended = made(bureau.post("/v1/children", first, token=token))["id"]
    made(bureau.post("/v1/children", second, token=token))
    refused(bureau.post("/v1/children", third, token=token), 409, "too-many-delegations")
    made(bureau.post(f"/v1/delegations/{ended}/end", token=token))
    made(bureau.post("/v1/children", third, token=token))


def test_a_child_has_so_many_guardians(village: Village, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delegations, "STANDING_MAX", 2)
    bureau, token = village.bureau, mother(village)
    own = made(bureau.post("/v1/children", CHILD, token=token))

    def another(guardian: str) -> None:
        def change(tx: Transaction) -> object:
            body = delegations.new_guardianship(guardian, own["person_id"], tx.now_ms)
            return tx.put("delegations", tx.new_id("delegation"), body)

        bureau.database.transact(change)

    another("account_2")
    made(bureau.post(f"/v1/delegations/{own['id']}/end", token=token))
    another("account_3")
    refused(bureau.post("/v1/children", CHILD, token=token), 409, "too-many-delegations")


# Of whom, and by whom


def test_who_is_an_agent_no_longer_has_nothing_confirmed(village: Village) -> None:
    asked = village.ask()["id"]
    set_account(village.bureau, village.agent, roles=["citizen"])
    refused(village.confirm(asked), 409, "not-an-agent")
    set_account(village.bureau, village.agent, roles=["station_agent"])
    assert made(village.confirm(asked))["state"] == "live"


@pytest.mark.parametrize(
    "changes", [{"roles": ["clinician"]}, {"state": "closed"}], ids=["no citizen", "closed"]
)
def test_nobody_comes_to_act_for_an_account_that_is_no_citizens(
    village: Village, changes: dict[str, object]
) -> None:
    villager = plant(village.bureau, int(VILLAGER[-2:]), "citizen")
    set_account(village.bureau, villager, **changes)
    refused(village.confirm(village.ask()["id"]), 409, "delegation-over")


def test_nobody_acts_on_for_an_account_that_was_closed(village: Village) -> None:
    delegation = village.live()
    assert village.exchange(delegation).status_code == 200
    set_account(village.bureau, shown(village)["person_id"], state="closed")
    no_token(village.exchange(delegation))


def test_who_is_operator_no_more_ends_nothing_by_a_token_of_before(village: Village) -> None:
    bureau, delegation = village.bureau, village.live()
    token = as_(bureau, village.operator, "operator")
    set_account(bureau, village.operator, roles=["citizen"])
    refused(bureau.post(f"/v1/delegations/{delegation}/end", token=token), 404, "not-found")
    assert village.exchange(delegation).status_code == 200


def test_an_invitation_is_for_the_name_that_was_invited(bureau: Bureau) -> None:
    token = as_(bureau, plant(bureau, 1, "operator"), "operator")
    invited = made(bureau.post("/v1/staff", {"name": "li.si"}, token=token))["invitation"]
    begun = staff_actions.begin_enrolment(bureau.database, bureau.secrets, invited)
    code = staff.totp(begun.secret).generate_otp(bureau.clock.now_ms() // 30_000)

    def enrol(name: str) -> object:
        given = Enrolment(invited, begun.ticket, name, PASSWORD, code)
        return staff_actions.enrol(bureau.database, bureau.registry(), given)

    with pytest.raises(Refused, match=r"^invitation-over$"):
        enrol("wang.wu")
    enrol("li.si")


# For how long


def test_a_delegation_says_until_when_it_is_and_that_its_term_is_over(village: Village) -> None:
    asked = village.ask(days=1)
    waiting: Json = {
        "id": asked["id"],
        "kind": "station_agent",
        "state": "waiting",
        "agent_id": village.agent,
        "person_id": None,
        "scopes": ["orders:read", "orders:write"],
        "made_at": "2026-01-01T00:00:00.000Z",
        "ends_at": None,
        "ended_at": None,
        "ended_by": None,
    }
    assert asked == waiting
    village.bureau.clock.pass_wall(seconds=60)
    live = made(village.confirm(asked["id"]))
    assert live["person_id"] not in {None, village.agent}
    assert live == waiting | {
        "state": "live",
        "person_id": live["person_id"],
        "ends_at": "2026-01-02T00:01:00.000Z",
    }
    village.bureau.clock.pass_wall(hours=24, seconds=-0.001)
    assert shown(village) == live
    village.bureau.clock.pass_wall(seconds=0.001)
    assert shown(village) == live | {"state": "over"}


def test_a_delegation_says_who_ended_it_and_when(village: Village) -> None:
    bureau, delegation = village.bureau, village.live()
    live = shown(village)
    bureau.clock.pass_wall(seconds=90)
    path = f"/v1/delegations/{delegation}/end"
    ended = live | {
        "state": "taken_back",
        "ended_at": "2026-01-01T00:01:30.000Z",
        "ended_by": live["person_id"],
    }
    assert made(bureau.post(path, token=village.villager())) == ended
    # Who comes later does not change what was.
    bureau.clock.pass_wall(seconds=90)
    assert made(bureau.post(path, token=village.agents)) == ended


def test_what_somebody_did_for_a_person_is_kept_for_three_years_after_the_term(
    village: Village,
) -> None:
    delegation = village.live(days=90)
    bureau = village.bureau
    bureau.clock.pass_wall(seconds=(90 * DAY_MS + delegations.KEPT_MS - 1) / 1000)
    bureau.database.transact(bureau.upkeep.change)
    assert bureau.in_replica("delegations") == [delegation]
    bureau.clock.pass_wall(seconds=0.001)
    bureau.database.transact(bureau.upkeep.change)
    assert bureau.in_replica("delegations") == []


ENDING = {
    collection.name: index
    for collection in CATALOGUE.collections.values()
    for index in collection.indexes
    # Keys are made as others end.
    if index.name.endswith("_by_end") and collection.name != "keys"
}


@pytest.mark.parametrize("collection", ENDING)
def test_whatever_ends_is_removed_once_it_is_over(bureau: Bureau, collection: str) -> None:
    [field] = ENDING[collection].fields
    end_ms = bureau.clock.now_ms() + 1000
    bureau.database.transact(bureau.upkeep.change)
    bureau.database.transact(lambda tx: tx.put(collection, "over", {field: end_ms}))

    def is_due(now_ms: int) -> bool:
        return bureau.database.read(lambda view: bureau.upkeep.due(view, now_ms)).value

    assert [is_due(end_ms - 1), is_due(end_ms)] == [False, True]
    bureau.clock.wall_ms = end_ms - 1
    bureau.database.transact(bureau.upkeep.change)
    assert bureau.in_replica(collection) == ["over"]
    bureau.clock.wall_ms = end_ms
    bureau.database.transact(bureau.upkeep.change)
    assert bureau.in_replica(collection) == []
