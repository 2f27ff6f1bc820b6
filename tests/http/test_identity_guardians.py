"""Guardians: tied to the phone that they sign in by, told of each other, and seen by each other."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from services.identity.domain import names
from shared.storage.access import Transaction
from tests.support.bureau import Bureau
from tests.support.people import as_, number_of, own_name, plant
from tests.support.served import Json, json_of, made, refused

CHILD = {"name": "李小花", "number": number_of(date(2020, 5, 5), 8)}
FATHER = own_name(11, "李大山", date(1988, 1, 1))
MOTHER = own_name(12, "王秀英", date(1989, 2, 2))


class Parents:
    """The father has registered the child; the mother has not been there yet."""

    def __init__(self, bureau: Bureau) -> None:
        self.bureau = bureau
        self.father, self.mother, self.stranger = (
            as_(bureau, plant(bureau, place, "citizen"), "citizen") for place in (11, 12, 13)
        )
        for each in (FATHER, MOTHER):
            bureau.authority.phones[each["number"]] = f"+86{each['phone']}"
        made(self.verify(self.father, FATHER))
        self.his = made(self.register(self.father))
        self.child = str(self.his["person_id"])

    def verify(self, token: str, body: Json) -> TestResponse:
        return self.bureau.post("/v1/account/name", body, token=token)

    def register(self, token: str) -> TestResponse:
        return self.bureau.post("/v1/children", CHILD, token=token)

    def guardianships(self, token: str) -> TestResponse:
        return self.bureau.get(f"/v1/children/{self.child}/guardianships", token=token)


@pytest.fixture
def parents(tmp_path: Path) -> Iterator[Parents]:
    with Bureau(tmp_path) as bureau:
        yield Parents(bureau)


def test_who_knows_names_and_numbers_and_has_no_phone_of_theirs_guards_nobody(
    parents: Parents,
) -> None:
    own = {**MOTHER, "phone": "13800000013"}
    refused(parents.verify(parents.stranger, own), 409, "name-not-verified")
    refused(parents.verify(parents.stranger, MOTHER), 422, "invalid-request", "phone")
    refused(parents.register(parents.stranger), 409, "own-name-needed")
    made(parents.verify(parents.mother, MOTHER))
    assert made(parents.register(parents.mother))["person_id"] == parents.child


def test_a_number_that_has_an_account_and_one_that_has_none_are_refused_alike(
    parents: Parents,
) -> None:
    answers = [
        parents.verify(parents.stranger, {**MOTHER, "phone": phone})
        for phone in ("13800000012", "13800009999")
    ]
    assert answers[0].status_code == 422
    first, second = (json_of(answer) for answer in answers)
    assert first["errors"] == second["errors"]


def test_a_name_that_was_verified_without_a_phone_guards_nobody_until_it_is_with_one(
    parents: Parents,
) -> None:
    """As one that an earlier release has kept."""
    account = f"account_{12:032x}"
    person = names.person(MOTHER["name"], MOTHER["number"], parents.bureau.clock.now_ms())
    registry = parents.bureau.registry()
    sealed = registry.vault.seal("names", account, names.content(person))

    def change(tx: Transaction) -> None:
        digest = registry.digest(person)
        tx.put("id_numbers", digest, {"account": account})
        tx.put("names", account, names.new_name(sealed, digest, "authority", tx.now_ms))

    parents.bureau.database.transact(change)
    shown = parents.bureau.get("/v1/account/name", token=parents.mother)
    assert (shown.status_code, json_of(shown)["name"]) == (200, "王**")
    refused(parents.register(parents.mother), 409, "own-name-needed")
    made(parents.verify(parents.mother, MOTHER))
    made(parents.register(parents.mother))


def test_the_other_guardians_are_told_of_a_new_one_once(parents: Parents) -> None:
    bureau = parents.bureau
    made(parents.verify(parents.mother, MOTHER))
    made(parents.register(parents.mother))
    made(parents.register(parents.mother))
    [message] = bureau.messages()
    assert (message.recipient, message.kind) == (f"+86{FATHER['phone']}", "guardianship.begun")
    assert "新登记了一位监护人" in message.text.zh
    assert FATHER["phone"].encode() not in bureau.stored()
    bureau.clock.pass_wall(hours=73)
    assert bureau.messages() == [], "it is no news any more"


def test_guardians_see_each_other_and_nobody_else_does(parents: Parents) -> None:
    refused(parents.guardianships(parents.mother), 404, "not-found")
    made(parents.verify(parents.mother, MOTHER))
    parents.bureau.clock.pass_wall(seconds=1)
    hers = made(parents.register(parents.mother))
    for token in (parents.father, parents.mother):
        items = json_of(parents.guardianships(token))["items"]
        assert [each["id"] for each in items] == [hers["id"], parents.his["id"]]
    refused(parents.guardianships(parents.stranger), 404, "not-found")
    # Whoever is in the wrong is for an operator to say, not for the other of the two.
    path = f"/v1/delegations/{hers['id']}/end"
    refused(parents.bureau.post(path, token=parents.father), 404, "not-found")
    operator = as_(parents.bureau, plant(parents.bureau, 9, "operator"), "operator")
    made(parents.bureau.post(path, token=operator))
    refused(parents.guardianships(parents.mother), 404, "not-found")
    states = [each["state"] for each in json_of(parents.guardianships(parents.father))["items"]]
    assert states == ["taken_back", "live"]
