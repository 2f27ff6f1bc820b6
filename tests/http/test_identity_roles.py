"""Who gives and takes which role, over HTTP; what the auditor reads of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from tests.support.bureau import Bureau, denied, given
from tests.support.people import Member, as_, enrolled, plant
from tests.support.served import Json, json_of, made, refused


class Office:
    """Officers and operators, and somebody to give roles to."""

    def __init__(self, bureau: Bureau) -> None:
        self.bureau = bureau
        self.operator = plant(bureau, 1, "operator")
        self.first = plant(bureau, 2, "security")
        self.second = plant(bureau, 3, "security")
        self.auditor = plant(bureau, 4, "auditor")
        self.person = plant(bureau, 5, "citizen")

    def give(self, by: str, power: str, role: str, to: str | None = None) -> TestResponse:
        return self.bureau.post(
            f"/v1/accounts/{to or self.person}/roles",
            {"role": role, "reason": "why"},
            token=as_(self.bureau, by, power),
        )

    def officer(self) -> Member:
        """A third officer, who has enrolled."""
        member = enrolled(self.bureau, self.operator)
        made(self.give(self.first, "security", "security", member.account))
        made(self.step(self.second, "security", "agreement", to=member.account))
        return member

    def invite_again(self, by: str, power: str, whom: str) -> TestResponse:
        path = f"/v1/staff/{whom}/invitations"
        return self.bureau.post(path, token=as_(self.bureau, by, power))

    def step(
        self, by: str, role: str, step: str, to: str | None = None, power: str = "security"
    ) -> TestResponse:
        body = {"reason": "why"} if step == "withdrawal" else None
        return self.bureau.post(
            f"/v1/accounts/{to or self.person}/roles/{role}/{step}",
            body,
            token=as_(self.bureau, by, power),
        )

    def roles(self, account: str | None = None) -> list[str]:
        found = self.bureau.database.read(
            lambda view: view.require("accounts", account or self.person)
        )
        roles: list[str] = found.value.body["roles"]
        return roles

    def changes(self) -> list[Json]:
        token = as_(self.bureau, self.auditor, "auditor")
        items: list[Json] = json_of(self.bureau.get("/v1/role-changes", token=token))["items"]
        return items


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with Bureau(tmp_path) as bureau:
        yield Office(bureau)


def test_an_operator_gives_and_takes_business_roles_and_the_auditor_reads_who(
    office: Office,
) -> None:
    assert made(office.give(office.operator, "operator", "merchant"))["what"] == "given"
    assert office.roles() == ["citizen", "merchant"]
    office.bureau.clock.pass_wall(seconds=1)
    made(office.step(office.operator, "merchant", "withdrawal", power="operator"))
    assert office.roles() == ["citizen"]
    taken, given = office.changes()
    assert (taken["what"], given["what"]) == ("taken", "given")
    assert {taken["by"], given["by"]} == {office.operator}


def test_a_power_needs_two_officers(office: Office) -> None:
    assert made(office.give(office.first, "security", "operator"))["what"] == "waiting"
    assert office.roles() == ["citizen"]
    refused(office.step(office.first, "operator", "agreement"), 409, "second-officer-needed")
    made(office.step(office.second, "operator", "agreement"))
    assert office.roles() == ["citizen", "operator"]
    [change] = office.changes()
    assert (change["by"], change["second"]) == (office.first, office.second)
    refused(office.step(office.second, "operator", "agreement"), 404, "not-found")


def test_whoever_is_given_a_power_is_signed_out_by_the_agreement(office: Office) -> None:
    tokens = office.bureau.sign_in("13800000005")
    made(office.give(office.first, "security", "operator"))
    # Nothing is given yet.
    tokens = given(office.bureau.refresh(tokens["refresh_token"]))
    made(office.step(office.second, "operator", "agreement"))
    # Also once it is taken again: that sign-in is over.
    made(office.step(office.first, "operator", "withdrawal"))
    denied(office.bureau.refresh(tokens["refresh_token"]), "invalid_grant")


def test_a_request_is_void_after_three_days_or_once_its_officer_is_none(office: Office) -> None:
    made(office.give(office.first, "security", "auditor"))
    office.bureau.clock.pass_wall(hours=72)
    refused(office.step(office.second, "auditor", "agreement"), 409, "second-officer-needed")
    made(office.give(office.first, "security", "auditor"))
    made(office.step(office.second, "security", "withdrawal", to=office.first))
    refused(office.step(office.second, "auditor", "agreement"), 409, "second-officer-needed")
    assert office.roles() == ["citizen"]


def test_duties_stay_apart_between_request_and_agreement(office: Office) -> None:
    made(office.give(office.first, "security", "auditor"))
    made(office.give(office.operator, "operator", "clinician"))
    refused(office.step(office.second, "auditor", "agreement"), 409, "duties-apart")
    assert office.roles() == ["citizen", "clinician"]
    refused(
        office.give(office.operator, "operator", "merchant", office.auditor), 409, "duties-apart"
    )


def test_nobody_gives_to_themselves_or_what_is_not_theirs(office: Office) -> None:
    refused(office.give(office.operator, "operator", "merchant", office.operator), 409, "own-roles")
    refused(office.give(office.first, "security", "auditor", office.first), 409, "own-roles")
    refused(office.give(office.operator, "operator", "auditor"), 403, "forbidden")
    refused(office.give(office.first, "security", "merchant"), 403, "forbidden")
    refused(office.give(office.auditor, "auditor", "merchant"), 403, "forbidden")


def test_a_token_of_yesterday_gives_nothing(office: Office) -> None:
    made(office.step(office.first, "security", "withdrawal", to=office.second))
    refused(office.give(office.second, "security", "operator"), 403, "forbidden")
    assert office.roles() == ["citizen"]


def test_a_repeated_request_is_one_change(office: Office) -> None:
    body = {"role": "merchant", "reason": "why"}
    token = as_(office.bureau, office.operator, "operator")
    path = f"/v1/accounts/{office.person}/roles"
    first = made(office.bureau.post(path, body, token=token, key="one"))
    assert made(office.bureau.post(path, body, token=token, key="one")) == first
    assert len(office.changes()) == 1


def test_an_operator_cannot_take_over_an_officers_account(office: Office) -> None:
    member = office.officer()
    refused(office.invite_again(office.operator, "operator", member.account), 403, "forbidden")
    assert office.roles(member.account) == ["security"]
    assert member.sign_in() == member.account


def test_who_is_invited_again_has_lost_what_two_officers_give(office: Office) -> None:
    member = office.officer()
    office.bureau.clock.pass_wall(seconds=1)
    made(office.invite_again(office.first, "security", member.account))
    assert office.roles(member.account) == []
    change = office.changes()[0]
    assert (change["what"], change["role"], change["by"]) == ("taken", "security", office.first)
    refused(office.step(office.first, "security", "agreement", to=member.account), 404, "not-found")
    made(office.give(office.first, "security", "security", member.account))
    assert office.roles(member.account) == []


def test_what_was_asked_for_is_void_once_somebody_is_invited_again(office: Office) -> None:
    """Or an operator would be agreed to in another's name."""
    member = enrolled(office.bureau, office.operator)
    made(office.give(office.first, "security", "security", member.account))
    made(office.invite_again(office.operator, "operator", member.account))
    refused(
        office.step(office.second, "security", "agreement", to=member.account), 404, "not-found"
    )


def test_what_operators_give_stays_with_who_is_invited_again(office: Office) -> None:
    member = enrolled(office.bureau, office.operator)
    made(office.give(office.operator, "operator", "clinician", member.account))
    made(office.invite_again(office.operator, "operator", member.account))
    assert office.roles(member.account) == ["clinician"]


def test_who_gives_no_such_role_invites_nobody_again_who_has_it(office: Office) -> None:
    member = enrolled(office.bureau, office.operator)
    made(office.give(office.operator, "operator", "clinician", member.account))
    refused(office.invite_again(office.first, "security", member.account), 403, "forbidden")
    assert member.sign_in() == member.account


def test_nobody_invites_themselves_again(office: Office) -> None:
    member = office.officer()
    refused(office.invite_again(member.account, "security", member.account), 403, "forbidden")
    assert office.roles(member.account) == ["security"]
    assert member.sign_in() == member.account


def test_who_may_invite_nobody_invites_nobody_again(office: Office) -> None:
    member, other = (
        enrolled(office.bureau, office.operator, name) for name in ("li.si", "wang.wu")
    )
    made(office.give(office.operator, "operator", "clinician", other.account))
    refused(office.invite_again(other.account, "operator", member.account), 403, "forbidden")


def test_the_auditor_reads_the_changes_of_one_account(office: Office) -> None:
    other = plant(office.bureau, 6, "citizen")
    made(office.give(office.operator, "operator", "merchant"))
    made(office.give(office.operator, "operator", "clinician", other))
    token = as_(office.bureau, office.auditor, "auditor")
    path = f"/v1/role-changes?account_id={other}"
    assert json_of(office.bureau.get(path, token=token)) == {
        "items": [
            {
                "account_id": other,
                "role": "clinician",
                "what": "given",
                "by": office.operator,
                "second": None,
                "reason": "why",
                "at": "2026-01-01T00:00:00.000Z",
            }
        ],
        "after": None,
    }
