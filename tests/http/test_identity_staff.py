"""Staff: invited, enrolled, signed in by two factors; delays that end, and lock nobody else out."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Semaphore
from types import SimpleNamespace
from typing import TypeVar

import pytest

from services.identity.actions import staff as actions
from services.identity.actions.staff import Enrolment, Given
from services.identity.domain import staff
from shared.errors import BUSY, Refused
from tests.support.bureau import Bureau, claims_of, hidden, returned
from tests.support.people import PASSWORD, Member, as_, enrolled, plant, set_account
from tests.support.served import json_of, made, refused

T = TypeVar("T")


@pytest.fixture
def bureau(tmp_path: Path) -> Iterator[Bureau]:
    with Bureau(tmp_path) as opened:
        yield opened


@pytest.fixture
def member(bureau: Bureau) -> Member:
    return enrolled(bureau, plant(bureau, 1, "operator"))


def test_somebody_invited_enrols_and_signs_in(member: Member) -> None:
    assert member.sign_in() == member.account
    assert len(set(member.recovery)) == staff.RECOVERY_CODES


def test_a_code_is_good_once(member: Member) -> None:
    code = member.code()
    assert member.sign_in(code) == member.account
    with pytest.raises(Refused, match="staff-sign-in-refused"):
        member.sign_in(code)
    with pytest.raises(Refused, match="staff-sign-in-refused"):
        member.sign_in(code, attempt="another page")
    member.bureau.clock.pass_wall(seconds=30)
    assert member.sign_in() == member.account


def test_a_page_whose_reply_was_lost_is_answered_again(member: Member) -> None:
    code = member.code()
    assert member.sign_in(code, attempt="page") == member.account
    assert member.sign_in(code, attempt="page") == member.account
    with pytest.raises(Refused, match="staff-sign-in-refused"):
        member.sign_in(code, attempt="page", password="wrong, and long enough")


def test_both_factors_are_needed(member: Member) -> None:
    for code, password in ((None, "wrong, and long enough"), ("000000", PASSWORD)):
        with pytest.raises(Refused, match="staff-sign-in-refused"):
            member.sign_in(code, password=password)


def test_a_recovery_code_is_good_once(member: Member) -> None:
    assert member.sign_in(member.recovery[0]) == member.account
    with pytest.raises(Refused, match="staff-sign-in-refused"):
        member.sign_in(member.recovery[0])


def test_a_lost_reply_costs_no_second_recovery_code(member: Member) -> None:
    code, other = member.recovery[:2]
    assert member.sign_in(code, attempt="page") == member.account
    assert member.sign_in(code, attempt="page") == member.account
    for attempt, password in (("another page", PASSWORD), ("page", "wrong, and long enough")):
        with pytest.raises(Refused, match="staff-sign-in-refused"):
            member.sign_in(code, attempt=attempt, password=password)
    assert member.sign_in(other, attempt="page") == member.account
    with pytest.raises(Refused, match="staff-sign-in-refused"):
        member.sign_in(code, attempt="page")


def test_who_is_invited_again_has_no_recovery_code_from_before(member: Member) -> None:
    bureau, code = member.bureau, member.recovery[0]
    assert member.sign_in(code, attempt="page") == member.account
    token = as_(bureau, plant(bureau, 2, "operator"), "operator")
    again = made(bureau.post(f"/v1/staff/{member.account}/invitations", token=token))
    begun = actions.begin_enrolment(bureau.database, bureau.secrets, again["invitation"])
    first = staff.totp(begun.secret).generate_otp(bureau.clock.now_ms() // 30_000)
    given = Enrolment(again["invitation"], begun.ticket, member.name, PASSWORD, first)
    actions.enrol(bureau.database, bureau.registry(), given)
    with pytest.raises(Refused, match="staff-sign-in-refused"):
        member.sign_in(code, attempt="page")


def test_delays_grow_and_end_and_strangers_do_not_delay_the_office(member: Member) -> None:
    assert member.sign_in() == member.account
    clock = member.bureau.clock
    waits = []
    for place in range(staff.ELSEWHERE_FREE + 3):
        try:
            member.sign_in("000000", address=f"elsewhere-{place}")
        except Refused as told:
            waits.append(told.retry_after_seconds)
    assert waits[: staff.ELSEWHERE_FREE + 1] == [None] * (staff.ELSEWHERE_FREE + 1)
    assert waits[-1] == 2
    for _ in range(staff.FREE_FAILURES + 1):
        clock.pass_wall(seconds=600)
        with pytest.raises(Refused, match="staff-sign-in-refused"):
            member.sign_in("000000", address="somewhere")
    with pytest.raises(Refused, match="staff-sign-in-delayed"):
        member.sign_in(address="somewhere")
    assert member.sign_in(address="office") == member.account
    clock.pass_wall(hours=1)
    assert member.sign_in(address="somewhere") == member.account


def test_a_right_try_that_comes_after_too_many_wrong_ones_waits(member: Member) -> None:
    bureau = member.bureau
    given = Given(member.name, PASSWORD, member.code(), "net", "")
    tried = actions.look(bureau.database, bureau.registry(), given, bureau.clock.now_ms())
    for _ in range(staff.FREE_FAILURES + 1):
        with pytest.raises(Refused):
            member.sign_in("000000", address="net")
    with pytest.raises(Refused, match="staff-sign-in-delayed"):
        bureau.database.transact(lambda tx: actions.settle(tx, bureau.secrets, tried))


def test_an_unknown_name_does_the_same_work(
    member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes: list[str] = []
    is_password = staff.is_password

    def looked_at(kept: str, password: str) -> bool:
        hashes.append(kept)
        return is_password(kept, password)

    monkeypatch.setattr(staff, "is_password", looked_at)
    before = member.bureau.database.read(lambda view: view.seq).value
    for name in (member.name, "nobody.here"):
        stranger = Member(member.bureau, "", name, member.secret, [])
        with pytest.raises(Refused, match="staff-sign-in-refused"):
            stranger.sign_in(password="wrong, and long enough", address=name)
    assert len(hashes) == 2
    parameters = {each.split("$")[3] for each in hashes}
    assert parameters == {"m=19456,t=2,p=1"}
    assert member.bureau.database.read(lambda view: view.seq).value == before + 2


def test_an_unknown_name_asks_the_store_for_as_much_at_every_try(
    member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = member.bureau.store
    asked: list[str] = []
    get = store.get

    def noted(key: str) -> bytes:
        asked.append(key)
        return get(key)

    registry = member.bureau.registry()
    monkeypatch.setattr(store, "get", noted)
    monkeypatch.setattr(member.bureau, "registry", lambda: registry)

    def keys_asked(name: str) -> int:
        asked.clear()
        stranger = Member(member.bureau, "", name, member.secret, [])
        with pytest.raises(Refused, match="staff-sign-in-refused"):
            stranger.sign_in(password="wrong, and long enough", address=name)
        return sum("identity/keys/" in key for key in asked)

    keys_asked("the.first.one.ever")
    tries = [(keys_asked(member.name), keys_asked("nobody.here")) for _ in range(3)]
    assert tries == [(1, 1)] * 3


def test_an_address_that_tries_many_names_waits_before_anything_is_hashed_or_stored(
    member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    bureau = member.bureau
    assert member.sign_in() == member.account

    def spray(place: int, address: str = "office") -> Refused:
        with pytest.raises(Refused) as told:
            Member(bureau, "", f"name-{place}", member.secret, []).sign_in(address=address)
        return told.value

    for place in range(staff.ADDRESS_FREE):
        assert spray(place).problem is staff.SIGN_IN_REFUSED
    before = bureau.database.read(lambda view: view.seq).value
    with monkeypatch.context() as idle:
        idle.setattr(actions, "_hashing", lambda _: pytest.fail("a guess was hashed"))
        told = spray(99)
    assert (told.problem, told.retry_after_seconds) == (staff.TRY_LATER, 600)
    assert bureau.database.read(lambda view: view.seq).value == before
    assert spray(99, "elsewhere").problem is staff.SIGN_IN_REFUSED
    # Whoever has signed in there goes on, and the others soon: nothing is added while they wait.
    bureau.clock.pass_wall(seconds=60)
    assert member.sign_in() == member.account
    bureau.clock.pass_wall(seconds=540)
    assert spray(99).problem is staff.SIGN_IN_REFUSED


def test_slips_of_those_who_are_known_there_delay_no_colleague(member: Member) -> None:
    assert member.sign_in() == member.account
    for _ in range(staff.ADDRESS_FREE):
        with pytest.raises(Refused):
            member.sign_in("000000")
    stranger = Member(member.bureau, "", "nobody.here", member.secret, [])
    with pytest.raises(Refused, match="staff-sign-in-refused"):
        stranger.sign_in()


def test_guesses_at_once_take_few_threads_and_the_next_is_told_at_once(
    member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = actions.HASHES_AT_ONCE + actions.HASHES_WAITING
    within, threads = Semaphore(0), Semaphore(room)
    go_on = Event()
    is_password = staff.is_password

    def apart(work: Callable[[], T]) -> T:
        """A thread of the pool's, that stands still."""
        assert threads.acquire(blocking=False), "one more than there is room for"
        within.release()
        assert go_on.wait(30)
        return work()

    def hash_one() -> bool:
        return actions._hashing(lambda: True)

    with monkeypatch.context() as stalled, ThreadPoolExecutor(room) as callers:
        stalled.setattr(actions, "waiting", SimpleNamespace(apart=apart))
        running = [callers.submit(hash_one) for _ in range(room)]
        try:
            for _ in range(room):
                assert within.acquire(timeout=30)
            with pytest.raises(Refused, match="busy") as told:
                hash_one()
        finally:
            go_on.set()
        assert told.value.retry_after_seconds == 2
        assert all(each.result() for each in running)
    # All have left, also one whose hash fails.
    monkeypatch.setattr(staff, "is_password", lambda *_: 1 // 0)
    for _ in range(room + 1):
        with pytest.raises(ZeroDivisionError):
            member.sign_in()
    monkeypatch.setattr(staff, "is_password", is_password)
    assert member.sign_in() == member.account


def test_a_password_of_other_parameters_is_kept_anew(
    member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kept() -> str:
        found = member.bureau.database.read(lambda view: view.require("staff", member.account))
        return str(found.value.body["sealed"])

    before = kept()
    monkeypatch.setattr(staff, "needs_rehash", lambda _: True)
    assert member.sign_in() == member.account
    monkeypatch.undo()
    assert kept() != before
    member.bureau.clock.pass_wall(seconds=30)
    assert member.sign_in() == member.account


def test_an_invitation_enrols_once_and_its_ticket_is_its_own(bureau: Bureau) -> None:
    operator = plant(bureau, 1, "operator")
    member = enrolled(bureau, operator)
    token = as_(bureau, operator, "operator")
    refused(bureau.post("/v1/staff", {"name": "li.si"}, token=token), 409, "staff-name-taken")
    again = made(bureau.post(f"/v1/staff/{member.account}/invitations", token=token))
    with pytest.raises(Refused, match="staff-sign-in-refused"):
        member.sign_in()
    other = made(bureau.post("/v1/staff", {"name": "wang.wu"}, token=token))
    begun = actions.begin_enrolment(bureau.database, bureau.secrets, other["invitation"])
    code = staff.totp(begun.secret).generate_otp(bureau.clock.now_ms() // 30_000)
    stolen = Enrolment(again["invitation"], begun.ticket, "li.si", PASSWORD, code)
    for given in (stolen, Enrolment("no invitation", begun.ticket, "li.si", PASSWORD, code)):
        with pytest.raises(Refused, match="invitation-over"):
            actions.enrol(bureau.database, bureau.registry(), given)
    bureau.clock.pass_wall(hours=72)
    with pytest.raises(Refused, match="invitation-over"):
        actions.begin_enrolment(bureau.database, bureau.secrets, again["invitation"])


def test_no_journal_holds_password_factor_name_or_invitation(member: Member) -> None:
    member.sign_in()
    stored = member.bureau.stored()
    for secret in (PASSWORD, member.secret, member.name, "$argon2", *member.recovery):
        assert secret.encode() not in stored


def test_who_is_operator_no_more_is_not_shown_an_invitation_again(bureau: Bureau) -> None:
    operator = plant(bureau, 1, "operator")
    token = as_(bureau, operator, "operator")
    invited = made(bureau.post("/v1/staff", {"name": "li.si"}, token=token, key="first"))
    again = f"/v1/staff/{invited['id']}/invitations"
    assert made(bureau.post(again, None, token=token, key="again"))["invitation"]
    set_account(bureau, operator, roles=["citizen"])
    first = bureau.post("/v1/staff", {"name": "li.si"}, token=token, key="first")
    for shown in (first, bureau.post(again, None, token=token, key="again")):
        refused(shown, 403, "forbidden")


def _busy(*_: object) -> object:
    raise Refused(BUSY, retry_after_seconds=2)


def test_an_invitation_is_not_over_because_the_store_does_not_answer(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = as_(bureau, plant(bureau, 1, "operator"), "operator")
    invitation = made(bureau.post("/v1/staff", {"name": "li.si"}, token=operator))["invitation"]

    with monkeypatch.context() as stalled:
        stalled.setattr(bureau.database, "transact", _busy)
        told = bureau.form("/enrolment", {"invitation": invitation})
    assert (told.status_code, told.headers["Retry-After"]) == (503, "2")
    assert BUSY.zh in told.text
    assert staff.INVITATION_OVER.zh not in told.text
    assert bureau.form("/enrolment", {"invitation": invitation}).status_code == 200
    over = bureau.form("/enrolment", {"invitation": "made up"})
    assert (over.status_code, staff.INVITATION_OVER.zh in over.text) == (409, True)


def test_staff_enrol_and_sign_in_to_an_app_in_a_browser(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = plant(bureau, 1, "operator")
    invited = made(
        bureau.post("/v1/staff", {"name": "zhao.liu"}, token=as_(bureau, operator, "operator"))
    )
    give = {"role": "clinician", "reason": "new here"}
    made(
        bureau.post(
            f"/v1/accounts/{invited['id']}/roles", give, token=as_(bureau, operator, "operator")
        )
    )
    assert bureau.client.get("/identity/enrolment").status_code == 200
    invitation = {"invitation": invited["invitation"]}
    page = bureau.form("/enrolment", invitation)
    [secret] = re.findall(r"<code>([A-Z2-7]+)</code>", page.text)
    [ticket] = re.findall(r'name="ticket" value="([^"]+)"', page.text)
    filled = {**invitation, "ticket": ticket, "name": "zhao.liu", "password": PASSWORD}

    def code() -> str:
        return staff.totp(secret).generate_otp(bureau.clock.now_ms() // 30_000)

    weak = bureau.form("/enrolment", {**filled, "password": "short", "code": code()})
    assert (weak.status_code, secret in weak.text) == (422, True)
    with monkeypatch.context() as stalled:
        stalled.setattr(bureau.database, "transact", _busy)
        told = bureau.form("/enrolment", {**filled, "code": code()})
    assert (told.status_code, secret in told.text) == (503, True)
    assert told.headers.get("Retry-After") == "2"
    done = bureau.form("/enrolment", {**filled, "code": code()})
    assert len(re.findall("<code>[0-9a-f]{20}</code>", done.text)) == staff.RECOVERY_CODES
    assert bureau.form("/enrolment", {**filled, "code": code()}).status_code == 409

    bureau.clock.pass_wall(seconds=60)
    scope = "openid account:read appointments:check"
    asked = bureau.form("/sign-in/staff", {"page": hidden(bureau.authorize(scope=scope))})
    both = {"page": hidden(asked), "name": "zhao.liu", "code": code()}
    wrong = bureau.form("/sign-in/staff", {**both, "password": "wrong, and long enough"})
    assert wrong.status_code == 403
    with monkeypatch.context() as stalled:
        stalled.setattr(bureau.database, "transact", _busy)
        told = bureau.form("/sign-in/staff", {**both, "password": PASSWORD})
    assert (told.status_code, told.headers["Retry-After"]) == (503, "2")
    assert BUSY.zh in told.text
    right = bureau.form("/sign-in/staff", {**both, "password": PASSWORD})
    assert right.status_code == 303, right.text
    tokens = json_of(bureau.redeem(returned(right)["code"]))
    claims = claims_of(tokens["access_token"])
    assert (claims["sub"], claims["roles"]) == (invited["id"], ["clinician"])
    # The same page once more, as after a lost reply; the same code on another page is none.
    assert bureau.form("/sign-in/staff", {**both, "password": PASSWORD}).status_code == 303
    other = hidden(bureau.form("/sign-in/staff", {"page": hidden(bureau.authorize())}))
    again = bureau.form("/sign-in/staff", {**both, "password": PASSWORD, "page": other})
    assert again.status_code == 403
    assert bureau.form("/sign-in/staff", {"page": "made up"}).status_code == 400


def test_who_signs_in_while_nothing_can_be_read_is_told_on_the_page(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = hidden(bureau.form("/sign-in/staff", {"page": hidden(bureau.authorize())}))
    with monkeypatch.context() as stalled:
        stalled.setattr(bureau.database, "read", _busy)
        told = bureau.form("/sign-in/staff", {"page": shown, "name": "zhao.liu"})
    assert (told.status_code, told.headers["Retry-After"]) == (503, "2")
    assert BUSY.zh in told.text
    assert hidden(told) == shown
