"""ID numbers that an officer frees, of an account that took somebody else's."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from services.identity.domain import names
from shared.sealing import KEPT_SECONDS
from tests.support.bureau import Bureau
from tests.support.people import as_, number_of, own_name, plant
from tests.support.served import json_of, made, refused

MOTHER = own_name(12, "王秀英", date(1989, 2, 2))
TAKER = {**MOTHER, "phone": "13800000013"}
CHILD = {"name": "李小花", "number": number_of(date(2020, 5, 5), 8)}
FREE = {"number": MOTHER["number"], "reason": "showed the card"}


@pytest.fixture
def bureau(tmp_path: Path) -> Iterator[Bureau]:
    with Bureau(tmp_path) as bureau:
        yield bureau


def citizen(bureau: Bureau, place: int) -> str:
    return as_(bureau, plant(bureau, place, "citizen"), "citizen")


def free(bureau: Bureau, key: str | None = None, **changes: str) -> TestResponse:
    officer = as_(bureau, plant(bureau, 5, "security"), "security")
    return bureau.post("/v1/number-releases", {**FREE, **changes}, token=officer, key=key)


def test_who_shows_the_card_gets_the_number_and_what_rested_on_it_has_ended(
    bureau: Bureau,
) -> None:
    taker, mother = citizen(bureau, 13), citizen(bureau, 12)
    made(bureau.post("/v1/account/name", TAKER, token=taker))
    theirs = made(bureau.post("/v1/children", CHILD, token=taker))
    refused(bureau.post("/v1/account/name", MOTHER, token=mother), 409, "id-number-taken")
    done = made(free(bureau, "once"))
    assert done["account_id"] == theirs["agent_id"]
    bureau.clock.pass_monotonic(KEPT_SECONDS + 1)
    keys = str(bureau.store.list("identity/keys/"))
    assert not any(account in keys for account in (theirs["agent_id"], theirs["person_id"]))
    made(bureau.post("/v1/account/name", MOTHER, token=mother))
    assert made(free(bureau, "once")) == done
    assert bureau.get("/v1/account/name", token=mother).status_code == 200
    [held] = json_of(bureau.get("/v1/delegations-held", token=taker))["items"]
    assert (held["state"], held["ended_by"]) == ("taken_back", done["by"])
    assert made(bureau.post("/v1/children", CHILD, token=mother))["state"] == "live"


def test_a_child_that_another_guards_keeps_its_name(bureau: Bureau) -> None:
    taker, father = citizen(bureau, 13), citizen(bureau, 11)
    for token, body in ((taker, TAKER), (father, own_name(11, "李大山", date(1988, 1, 1)))):
        made(bureau.post("/v1/account/name", body, token=token))
        made(bureau.post("/v1/children", CHILD, token=token))
    made(free(bureau))
    assert len(bureau.store.list("identity/keys/")) == 2
    made(bureau.post("/v1/children", CHILD, token=father))


def test_a_childs_number_is_freed_with_its_guardianships(bureau: Bureau) -> None:
    taker = citizen(bureau, 13)
    made(bureau.post("/v1/account/name", TAKER, token=taker))
    theirs = made(bureau.post("/v1/children", CHILD, token=taker))
    done = made(free(bureau, number=CHILD["number"]))
    assert done["account_id"] == theirs["person_id"]
    refused(free(bureau, number=CHILD["number"]), 404, "not-found")


def test_a_crash_between_keys_and_change_is_completed_by_the_next(bureau: Bureau) -> None:
    taker = citizen(bureau, 13)
    made(bureau.post("/v1/account/name", TAKER, token=taker))
    bureau.registry().vault.erase(f"account_{13:032x}")
    made(free(bureau))
    refused(free(bureau), 404, "not-found")


def test_it_is_remembered_with_who_and_why_and_without_the_number(bureau: Bureau) -> None:
    made(bureau.post("/v1/account/name", TAKER, token=citizen(bureau, 13)))
    done = made(free(bureau))
    auditor = as_(bureau, plant(bureau, 6, "auditor"), "auditor")
    assert json_of(bureau.get("/v1/number-releases", token=auditor))["items"] == [done]
    assert (done["by"], done["reason"]) == (f"account_{5:032x}", FREE["reason"])
    assert MOTHER["number"].encode() not in bureau.stored()
    digest = bureau.secrets.known(names.KIND, MOTHER["number"])
    released = bureau.database.read(lambda view: view.find("number_releases_by_time", (), limit=9))
    assert digest not in str([hit.document.body for hit in released.value])


def test_a_number_is_looked_at_and_an_officer_of_yesterday_frees_none(bureau: Bureau) -> None:
    made(bureau.post("/v1/account/name", TAKER, token=citizen(bureau, 13)))
    refused(free(bureau, number="620102198902020000"), 422, "invalid-request", "number")
    former = as_(bureau, plant(bureau, 7, "citizen"), "security")
    refused(bureau.post("/v1/number-releases", FREE, token=former), 403, "forbidden")
