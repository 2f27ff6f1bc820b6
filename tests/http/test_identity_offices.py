"""An address that many share, and somebody tries names from: it waits, and tells none of them."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.test import Client, TestResponse

from services.identity.actions import staff as actions
from services.identity.domain import staff
from tests.support.bureau import HTTPS, Bureau, hidden
from tests.support.people import PASSWORD, Member, enrolled, plant

ADDRESS = "203.0.113.7"
COOKIE = "__Host-gansu_staff"


class Office:
    """Somebody of the staff, who has signed in from their own browser at the office's address."""

    def __init__(self, bureau: Bureau) -> None:
        self.bureau = bureau
        self.member = enrolled(bureau, plant(bureau, 1, "operator"))
        self.own = Client(bureau.app)
        self.first = self.sign_in(self.own)
        bureau.clock.pass_wall(seconds=30)

    def attempt(self, browser: Client, name: str, password: str, code: str) -> TestResponse:
        page = hidden(self.bureau.authorize(browser))
        values = {"page": page, "name": name, "password": password, "code": code}
        return self.bureau.form("/sign-in/staff", values, browser, **{"X-Forwarded-For": ADDRESS})

    def sign_in(self, browser: Client) -> TestResponse:
        return self.attempt(browser, self.member.name, PASSWORD, self.member.code())

    def guess(self, name: str, browser: Client | None = None) -> TestResponse:
        return self.attempt(browser or Client(self.bureau.app), name, "a guess of mine", "000000")

    def spray(self, times: int) -> None:
        for place in range(times):
            assert self.guess(f"name-{place}").status_code == 403

    def seq(self) -> int:
        return self.bureau.database.read(lambda view: view.seq).seq


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with Bureau(tmp_path) as bureau:
        yield Office(bureau)


def told(answer: TestResponse) -> tuple[int, str | None, str]:
    """What whoever guesses sees, but for the page's own seal."""
    shown = answer.text.replace(hidden(answer), "")
    return answer.status_code, answer.headers.get("Retry-After"), shown


def test_an_address_past_its_limit_tells_no_name(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.spray(staff.ADDRESS_FREE)
    before = office.seq()
    with monkeypatch.context() as idle:
        idle.setattr(actions, "_hashing", lambda _: pytest.fail("a guess was hashed"))
        known, unknown = told(office.guess(office.member.name)), told(office.guess("nobody.here"))
    assert known == unknown
    assert known[:2] == (429, "600")
    assert office.seq() == before
    # Their own browser goes on.
    assert office.sign_in(office.own).status_code == 303


def test_a_name_that_strangers_tried_everywhere_waits_alike_where_it_is_known(
    office: Office,
) -> None:
    for name in (office.member.name, "nobody.here"):
        stranger = Member(office.bureau, "", name, office.member.secret, [])
        for place in range(staff.ELSEWHERE_FREE + 1):
            with pytest.raises(Exception, match="staff-sign-in-refused"):
                stranger.sign_in("000000", address=f"elsewhere-{place}")
    assert told(office.guess(office.member.name)) == told(office.guess("nobody.here"))
    assert told(office.guess("nobody.here"))[0] == 429
    assert office.sign_in(office.own).status_code == 303


def test_a_guess_counts_for_the_address_whether_its_name_is_known_there(office: Office) -> None:
    office.spray(staff.ADDRESS_FREE - 1)
    assert office.guess(office.member.name).status_code == 403
    assert office.guess("nobody.here").status_code == 429


def test_a_browser_is_its_owners_alone(office: Office) -> None:
    colleague = enrolled(office.bureau, plant(office.bureau, 2, "operator"), "wang.wu")
    theirs = Client(office.bureau.app)
    office.attempt(theirs, colleague.name, PASSWORD, colleague.code())
    forged = Client(office.bureau.app)
    kept = f"{office.member.account}.{'A' * 43}"
    forged.set_cookie(COOKIE, kept, domain="identity.gansu.example", secure=True)
    office.spray(staff.ADDRESS_FREE)
    for browser in (theirs, forged):
        assert office.guess(office.member.name, browser).status_code == 429
    assert office.guess(colleague.name, theirs).status_code == 403
    assert office.sign_in(office.own).status_code == 303


def test_what_a_browser_keeps_is_for_our_own_pages_alone(office: Office) -> None:
    [cookie] = office.first.headers.getlist("Set-Cookie")
    assert re.fullmatch(
        rf"{COOKIE}={office.member.account}\.[A-Za-z0-9_-]{{43}}; Max-Age=15552000; Path=/;"
        " HttpOnly; SameSite=Lax; Secure",
        cookie,
    )
    assert office.own.get_cookie(COOKIE, domain=HTTPS.removeprefix("https://")) is not None
    assert "Set-Cookie" not in office.guess(office.member.name).headers


def test_who_guesses_at_a_name_from_the_office_locks_nobody_out_and_is_not_let_go(
    office: Office,
) -> None:
    for _ in range(staff.FREE_FAILURES + 8):
        assert office.guess(office.member.name).status_code in {403, 429}
        office.bureau.clock.pass_wall(seconds=300)
    assert office.guess(office.member.name).status_code == 403
    # The delay is as long as for a name that nobody has, whose owner does not come.
    waits = int(office.guess(office.member.name).headers["Retry-After"])
    assert office.sign_in(office.own).status_code == 303
    assert told(office.guess(office.member.name))[:2] == (429, str(waits))


def test_slips_in_ones_own_browser_cost_time_and_end_with_a_sign_in(office: Office) -> None:
    name, clock = office.member.name, office.bureau.clock
    for _ in range(staff.FREE_FAILURES + 1):
        assert office.guess(name, office.own).status_code == 403
    assert office.sign_in(office.own).status_code == 429
    clock.pass_wall(seconds=2)
    assert office.sign_in(office.own).status_code == 303
    assert office.guess(name, office.own).status_code == 403
