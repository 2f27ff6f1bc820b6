"""Children's names: registered by a guardian alone, and forgotten with the last guardianship."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from services.identity.actions import delegations
from services.identity.actions import names as name_actions
from services.identity.domain import names
from shared.errors import Refused
from shared.sealing import KEPT_SECONDS, Unreadable, Vault
from shared.storage.access import Claim
from shared.times import midnight_ms
from tests.support.bureau import Bureau
from tests.support.people import as_, number_of, own_name, plant
from tests.support.served import Json, json_of, made, refused

CHILD = {"name": "王小明", "number": number_of(date(2012, 1, 3), 7)}
GROWN = {**CHILD, "phone": "13800000013"}
FOURTEEN_MS = midnight_ms(date(2026, 1, 3))


class Family:
    """A mother and a father, both verified, and a child that the mother has registered."""

    def __init__(self, bureau: Bureau) -> None:
        self.bureau = bureau
        self.mother = self._parent(11, "李梅", date(1985, 3, 3))
        self.father = self._parent(12, "王强", date(1984, 1, 1))
        self.hers = self.register(self.mother)
        self.child = str(self.hers["person_id"])

    def _parent(self, place: int, name: str, born: date) -> str:
        account = plant(self.bureau, place, "citizen")
        body = own_name(place, name, born)
        made(self.bureau.post("/v1/account/name", body, token=self.token(account)))
        return account

    def token(self, account: str) -> str:
        return as_(self.bureau, account, "citizen")

    def register(self, guardian: str) -> Json:
        return made(self.bureau.post("/v1/children", CHILD, token=self.token(guardian)))

    def end(self, guardianship: Json, key: str | None = None) -> TestResponse:
        path = f"/v1/delegations/{guardianship['id']}/end"
        return self.bureau.post(path, token=self.token(guardianship["agent_id"]), key=key)

    def erase(self, guardian: str, key: str | None = None) -> TestResponse:
        path = f"/v1/children/{self.child}/name/erasure"
        return self.bureau.post(path, token=self.token(guardian), key=key)

    def state(self, guardian: str) -> str:
        answer = self.bureau.get("/v1/delegations-held", token=self.token(guardian))
        return str(json_of(answer)["items"][0]["state"])

    def sealed(self) -> str:
        """The child's name as it stands, and will stand in the journal for good."""
        found = self.bureau.database.read(lambda view: view.require("names", self.child))
        return str(found.value.body["sealed"])

    def opens(self, sealed: str) -> bool:
        """Whether a container that remembers no key can read what was sealed of the child."""
        self.bureau.clock.pass_monotonic(KEPT_SECONDS + 1)
        try:
            self.bureau.registry().vault.unseal("names", self.child, sealed)
        except Unreadable:
            return False
        return True

    def is_number_free(self) -> bool:
        digest = self.bureau.secrets.known(names.KIND, CHILD["number"])
        return self.bureau.database.read(lambda view: view.get("id_numbers", digest)).value is None


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    with Bureau(tmp_path) as bureau:
        yield Family(bureau)


def test_nobody_under_fourteen_is_verified_without_a_guardian(family: Family) -> None:
    own = family.token(plant(family.bureau, 13, "citizen"))
    refused(family.bureau.post("/v1/account/name", GROWN, token=own), 409, "guardian-needed")
    other = own_name(13, "王小红", date(2019, 1, 1))
    refused(family.bureau.post("/v1/account/name", other, token=own), 409, "guardian-needed")
    family.bureau.clock.wall_ms = FOURTEEN_MS
    own = family.token(plant(family.bureau, 13, "citizen"))
    made(family.bureau.post("/v1/account/name", GROWN, token=own))


def test_a_name_that_its_person_has_outgrown_is_unreadable_in_every_old_entry(
    family: Family,
) -> None:
    sealed = family.sealed()
    assert family.opens(sealed)
    family.bureau.clock.wall_ms = FOURTEEN_MS
    hers = family.token(family.mother)
    refused(family.bureau.post("/v1/account/name", GROWN, token=hers), 409, "name-known")
    assert family.opens(sealed), "what is refused erases nothing"
    own = family.token(plant(family.bureau, 13, "citizen"))
    made(family.bureau.post("/v1/account/name", GROWN, token=own))
    assert not family.opens(sealed)
    assert json_of(family.bureau.get("/v1/account/name", token=own))["name"] == "王**"


def test_the_last_guardianship_takes_the_childs_name_with_it(family: Family) -> None:
    his = family.register(family.father)
    sealed = family.sealed()
    made(family.end(family.hers))
    assert family.opens(sealed), "the father still acts by it"
    assert family.state(family.father) == "live"
    ended = made(family.end(his, "once"))
    assert made(family.end(his, "once")) == ended
    assert not family.opens(sealed)
    assert family.is_number_free()
    # A repetition under its old key takes nothing of what was registered since.
    again = family.register(family.mother)
    assert made(family.end(his, "once")) == ended
    family.child = again["person_id"]
    assert family.opens(family.sealed())


def test_an_operator_who_ends_the_last_guardianship_has_the_name_forgotten(family: Family) -> None:
    sealed = family.sealed()
    operator = as_(family.bureau, plant(family.bureau, 9, "operator"), "operator")
    made(family.bureau.post(f"/v1/delegations/{family.hers['id']}/end", token=operator))
    assert not family.opens(sealed)


def test_a_guardian_has_the_childs_name_forgotten(family: Family) -> None:
    sealed = family.sealed()
    done = made(family.erase(family.mother, "once"))
    assert done == {"state": "forgotten"}
    assert made(family.erase(family.mother, "once")) == done
    refused(family.erase(family.mother, "another"), 404, "not-found")
    assert not family.opens(sealed)
    assert family.is_number_free()
    assert family.state(family.mother) == "taken_back"
    assert family.register(family.mother)["state"] == "live"


def test_only_a_guardian_has_a_childs_name_forgotten_and_not_while_another_acts(
    family: Family,
) -> None:
    refused(family.erase(family.father), 404, "not-found")
    family.register(family.father)
    refused(family.erase(family.mother), 409, "another-guardian")
    assert family.opens(family.sealed())
    assert family.state(family.mother) == family.state(family.father) == "live"
    # Nobody acts for whoever has turned fourteen: nobody is in the way.
    family.bureau.clock.wall_ms = FOURTEEN_MS
    sealed = family.sealed()
    made(family.erase(family.mother))
    assert not family.opens(sealed)


def test_a_guardianship_that_the_child_has_outgrown_is_shown_as_over(family: Family) -> None:
    bureau = family.bureau
    path = f"/v1/children/{family.child}/guardianships"
    for now_ms, state in ((FOURTEEN_MS - 1000, "live"), (FOURTEEN_MS, "over")):
        bureau.clock.wall_ms = now_ms
        assert family.state(family.mother) == state
        [shown] = json_of(bureau.get(path, token=family.token(family.mother)))["items"]
        assert (shown["state"], shown["ends_at"]) == (state, None)
    # Nor does one give a token whose child's name nobody can read any more.
    bureau.clock.wall_ms = FOURTEEN_MS - 1000
    bureau.registry().vault.erase(family.child)
    bureau.clock.pass_monotonic(KEPT_SECONDS)
    assert family.state(family.mother) == "over"
    assert family.register(family.mother)["state"] == "live"
    assert family.state(family.mother) == "live"


def test_who_acts_for_an_adult_has_no_name_forgotten(family: Family) -> None:
    bureau, hers = family.bureau, family.token(family.mother)
    asked = {"kind": "guardian", "phone": "13800000012", "scopes": ["orders:read"], "days": 30}
    delegation = made(bureau.post("/v1/delegations", asked, token=hers))["id"]
    code = {"code": bureau.code_sent()}
    made(bureau.post(f"/v1/delegations/{delegation}/confirmation", code, token=hers))
    path = f"/v1/children/{family.father}/name/erasure"
    refused(bureau.post(path, token=hers), 404, "not-found")
    made(bureau.post(f"/v1/delegations/{delegation}/end", token=hers))
    assert bureau.get("/v1/account/name", token=family.token(family.father)).status_code == 200


@pytest.mark.parametrize("way", ["end", "erase"])
def test_what_a_crash_left_of_a_childs_name_is_completed_by_the_next(
    family: Family, way: str
) -> None:
    family.bureau.registry().vault.erase(family.child)
    family.bureau.clock.pass_monotonic(KEPT_SECONDS)
    made(family.end(family.hers) if way == "end" else family.erase(family.mother))
    assert family.is_number_free()


def test_a_crash_between_key_and_change_leaves_the_number_to_who_has_outgrown_it(
    family: Family,
) -> None:
    bureau = family.bureau
    bureau.clock.wall_ms = FOURTEEN_MS
    bureau.registry().vault.erase(family.child)
    bureau.clock.pass_monotonic(KEPT_SECONDS)
    own = family.token(plant(bureau, 13, "citizen"))
    made(bureau.post("/v1/account/name", GROWN, token=own))


class _Meanwhile(Vault):
    """Between its first erasure and the change, the father registers the child."""

    family: Family | None = None

    def erase(self, owner: str) -> None:
        super().erase(owner)
        if self.family is not None:
            self.family.register(self.family.father)
            self.family = None


def test_who_becomes_a_guardian_meanwhile_keeps_the_childs_name(family: Family) -> None:
    bureau = family.bureau
    slow = _Meanwhile(bureau.store, "identity/keys/", {"test": b"m" * 32}, bureau.clock)
    own = replace(bureau.registry(), vault=slow)

    def claim(key: str) -> Claim:
        return Claim(family.mother, "erasure", key, "of this")

    slow.family = family
    with pytest.raises(Refused, match="another-guardian"):
        delegations.forget_child(bureau.database, own, claim("one"), family.mother, family.child)
    assert family.opens(family.sealed())
    made(family.end(family.register(family.father)))
    bureau.clock.pass_wall(seconds=1)
    slow.family = family
    delegations.take_back(
        bureau.database, own, claim("two"), family.mother, family.hers["id"], frozenset()
    )
    assert family.state(family.mother) == "taken_back"
    assert family.state(family.father) == "live"
    assert name_actions.person_of(bureau.database, bureau.registry(), family.child) is not None
