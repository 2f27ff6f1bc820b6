"""Real names that are forgotten: repeated, cut short, and verified again meanwhile."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from services.identity.actions import names
from services.identity.domain.names import ATTEMPTS, Person
from shared.errors import Refused
from shared.sealing import KEPT_SECONDS, Vault
from shared.storage.access import Claim
from tests.support.bureau import Bureau
from tests.support.people import as_, number_of, own_name, plant
from tests.support.served import Json, json_of, made, refused

BORN = date(1985, 3, 3)
SELF = Person("李梅", number_of(BORN), BORN, "+8613800000011")
BODY = own_name(11, SELF.name, BORN)


class Citizen:
    """Somebody whose name is verified."""

    def __init__(self, bureau: Bureau) -> None:
        self.bureau = bureau
        self.account = plant(bureau, 11, "citizen")
        self.token = as_(bureau, self.account, "citizen")
        self.verify()

    def verify(self) -> Json:
        return made(self.bureau.post("/v1/account/name", BODY, token=self.token))

    def forget(self, key: str) -> Json:
        return made(self.bureau.post("/v1/account/name/erasure", token=self.token, key=key))

    def is_known(self) -> bool:
        """Whether it can be read, by a container that remembers no key."""
        self.bureau.clock.pass_monotonic(KEPT_SECONDS)
        answer = self.bureau.get("/v1/account/name", token=self.token)
        if answer.status_code == 404:
            return False
        assert answer.status_code == 200, answer.text
        return str(json_of(answer)["name"]) == "李*"

    def crash_after_the_key(self) -> None:
        """An erasure whose process ends when the key is gone and the document still stands."""
        self.bureau.registry().vault.erase(self.account)
        self.bureau.clock.pass_monotonic(KEPT_SECONDS)

    def keys(self) -> int:
        return len(self.bureau.store.list("identity/keys/"))


@pytest.fixture
def citizen(tmp_path: Path) -> Iterator[Citizen]:
    with Bureau(tmp_path) as bureau:
        yield Citizen(bureau)


def test_a_repeated_erasure_leaves_a_name_that_was_verified_since(citizen: Citizen) -> None:
    done = citizen.forget("once")
    assert (citizen.is_known(), citizen.keys()) == (False, 0)
    citizen.verify()
    assert citizen.forget("once") == done
    assert citizen.is_known()
    citizen.forget("another")
    assert (citizen.is_known(), citizen.keys()) == (False, 0)


def test_a_key_that_was_used_for_another_request_erases_nothing(citizen: Citizen) -> None:
    claim = Claim(citizen.account, "erasure", "once", "of another body")
    bureau, registry = citizen.bureau, citizen.bureau.registry()
    names.forget(bureau.database, registry, claim, citizen.account)
    citizen.verify()
    with pytest.raises(Refused, match="key-reused"):
        names.forget(bureau.database, registry, replace(claim, digest="of this"), citizen.account)
    assert citizen.is_known()


def test_a_name_that_lost_its_key_is_verified_anew(citizen: Citizen) -> None:
    citizen.crash_after_the_key()
    assert not citizen.is_known()
    citizen.bureau.authority.strangers.add(SELF.number)
    answer = citizen.bureau.post("/v1/account/name", BODY, token=citizen.token)
    refused(answer, 409, "name-not-verified")
    citizen.bureau.authority.strangers.clear()
    citizen.verify()
    assert citizen.is_known()


def test_who_has_the_token_of_an_account_guesses_few_times_a_day_whose_it_is(
    citizen: Citizen,
) -> None:
    def guess(order: int) -> TestResponse:
        body = own_name(11, SELF.name, BORN, order)
        return citizen.bureau.post("/v1/account/name", body, token=citizen.token)

    tries = ATTEMPTS.most - 1
    for order in range(2, 2 + tries):
        refused(guess(order), 409, "name-known")
    # The right one is not told from a wrong one any more.
    for order in (1, 99):
        refused(guess(order), 429, "too-many-codes")
    citizen.bureau.clock.pass_wall(hours=24)
    citizen.token = as_(citizen.bureau, citizen.account, "citizen")
    citizen.verify()


def test_an_erasure_that_was_cut_short_is_completed_by_the_next(citizen: Citizen) -> None:
    citizen.crash_after_the_key()
    citizen.forget("once")
    assert (citizen.is_known(), citizen.keys()) == (False, 0)
    other = as_(citizen.bureau, plant(citizen.bureau, 12, "citizen"), "citizen")
    theirs = own_name(12, SELF.name, BORN)
    made(citizen.bureau.post("/v1/account/name", theirs, token=other))


def test_a_name_that_is_verified_while_it_is_forgotten_is_not_left_readable(
    citizen: Citizen,
) -> None:
    bureau, account = citizen.bureau, citizen.account
    registry = bureau.registry()

    class Slow(Vault):
        """Between its erasure and the change, somebody verifies the name again."""

        def erase(self, owner: str) -> None:
            super().erase(owner)
            names.verify(bureau.database, bureau.registry(), account, SELF, bureau.clock.now_ms())

    slow = Slow(bureau.store, "identity/keys/", {"test": b"m" * 32}, bureau.clock)
    claim = Claim(account, "erasure", "once", "of this")
    with pytest.raises(Refused, match="busy"):
        names.forget(bureau.database, replace(registry, vault=slow), claim, account)
    assert citizen.is_known()
    names.forget(bureau.database, registry, claim, account)
    assert (citizen.is_known(), citizen.keys()) == (False, 0)
