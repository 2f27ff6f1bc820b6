"""Signing in with a mobile number: the pages, the codes, and whoever is not who they say."""

import re
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from services.identity.domain.sign_ins import CODE_MS, LIMITS, TRIES_MAX
from services.identity.routes import forms
from shared.errors import BUSY, Refused
from shared.storage.access import Transaction
from shared.storage.entry import decode
from shared.storage.memory import refuse
from shared.storage.objects import Uncertain
from tests.support.bureau import (
    CODES_PER_MINUTE,
    HTTPS,
    REDIRECT,
    Bureau,
    hidden,
    returned,
)
from tests.support.ledger import entries_of
from tests.support.served import json_of, refused
from tests.support.tokens import ISSUER

NUMBER = "13800000001"


def alert(page: TestResponse) -> str:
    """What a page says is wrong."""
    [said] = re.findall(r'role="alert">([^<]*)<', page.text)
    return str(said)


def account_of(bureau: Bureau, number: str) -> str:
    token = bureau.sign_in(number)["access_token"]
    return str(json_of(bureau.get("/v1/account", token=token))["id"])


# The way through


def test_a_number_and_a_code_lead_back_to_the_app(bureau: Bureau) -> None:
    page = bureau.ask_code(NUMBER)
    assert page.status_code == 200
    assert "0001" in page.text
    assert NUMBER not in page.text
    [message] = bureau.messages()
    assert message.recipient == "+8613800000001"
    answer = bureau.give_code(page, bureau.code_sent())
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(f"{REDIRECT}?")
    assert returned(answer).keys() == {"code", "state", "iss"}
    assert returned(answer)["state"] == "a state of the app"
    assert returned(answer)["iss"] == ISSUER


def test_a_number_has_one_account_however_it_is_typed(bureau: Bureau) -> None:
    first = account_of(bureau, NUMBER)
    assert re.fullmatch(r"account_[0-9a-f]{32}", first)
    for typed in (
        "+86 138 0000 0001",
        "138-0000-0001",
        "0086 13800000001",
        "１３８００００ ０００１",
    ):
        bureau.clock.pass_wall(seconds=61)
        assert account_of(bureau, typed) == first
    assert account_of(bureau, "13800000002") != first


@pytest.mark.parametrize(
    "typed",
    ["1", "12345678901", "0931-8888888", "+1 202 555 0123", "+852 5123 4567", "abc", "x" * 5000,
     "13800000001;ext=5", "13800000001 13800000002", "\x00", "10086"],
)  # fmt: skip
def test_what_is_no_mobile_number_is_sent_nothing(bureau: Bureau, typed: str) -> None:
    page = bureau.ask_code(typed)
    assert page.status_code == 422
    assert "手机号码" in alert(page)
    assert bureau.messages() == []


def test_an_empty_number_shows_the_page_again(bureau: Bureau) -> None:
    page = bureau.ask_code(" ")
    assert page.status_code == 200
    assert "alert" not in page.text


def test_pages_load_nothing_run_nothing_and_are_framed_by_nobody(bureau: Bureau) -> None:
    for page in (bureau.authorize(), bureau.ask_code(NUMBER), bureau.authorize(client_id="none")):
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "<script" not in page.text
        assert not re.search(r"[ <](src|href)=|url\(", page.text)
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["Referrer-Policy"] == "no-referrer"
    assert (
        "form-action 'self' cn.gansu.app:;" in bureau.authorize().headers["Content-Security-Policy"]
    )


def test_pages_speak_two_languages(bureau: Bureau) -> None:
    assert 'lang="zh-CN"' in bureau.authorize().text
    assert "登录“掌上甘肃”" in bureau.authorize().text
    browser = Client(bureau.app)
    browser.set_cookie("x", "y")
    page = bureau.client.get(
        "/identity/authorize?client_id=none", headers={"Accept-Language": "en"}, base_url=HTTPS
    )
    assert 'lang="en"' in page.text
    assert "Go back to the app" in page.text


def test_the_cookie_is_for_our_own_pages_alone(bureau: Bureau) -> None:
    cookie = bureau.authorize().headers["Set-Cookie"]
    assert re.fullmatch(
        r"__Host-gansu_sign_in=[0-9a-f]{32}; Path=/; HttpOnly; SameSite=Lax; Secure", cookie
    )


# Codes


def test_five_guesses_and_no_more(bureau: Bureau) -> None:
    page = bureau.ask_code(NUMBER)
    code = bureau.code_sent()
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    for _ in range(TRIES_MAX - 1):
        page = bureau.give_code(page, wrong)
        assert page.status_code == 403
        assert "不正确" in alert(page)
    over = bureau.give_code(page, wrong)
    assert "失效" in alert(over)
    late = bureau.give_code(page, code)
    assert late.status_code == 403
    assert "失效" in alert(late)


@pytest.mark.parametrize("guess", ["", "0", "x" * 3000, "１２３４５６", "000000 ", "null", "\x00"])
def test_a_guess_of_any_form_is_a_guess(bureau: Bureau, guess: str) -> None:
    page = bureau.ask_code(NUMBER)
    assert bureau.give_code(page, guess).status_code == 403


def test_a_code_is_good_for_five_minutes(bureau: Bureau) -> None:
    page = bureau.ask_code(NUMBER)
    code = bureau.code_sent()
    bureau.clock.pass_wall(seconds=CODE_MS / 1000 - 1)
    assert bureau.give_code(page, code).status_code == 303
    page = bureau.ask_code(NUMBER)
    code = bureau.code_sent()
    bureau.clock.pass_wall(seconds=CODE_MS / 1000)
    assert bureau.give_code(page, code).status_code == 403


def test_a_code_is_good_for_its_own_sign_in(bureau: Bureau) -> None:
    mine = bureau.ask_code(NUMBER)
    bureau.ask_code("13800000002")
    theirs = bureau.code_sent()
    if theirs != bureau.messages()[0].text.zh[:6]:
        assert bureau.give_code(mine, theirs).status_code == 403


def test_spaces_in_a_code_are_passed_over(bureau: Bureau) -> None:
    page = bureau.ask_code(NUMBER)
    code = bureau.code_sent()
    assert bureau.give_code(page, f" {code[:3]} {code[3:]} ").status_code == 303


# Nobody learns who has an account


def writes_of_last_entry(bureau: Bureau) -> list[tuple[str, int]]:
    """Which collections the last entry wrote, and how much of each."""
    *_, last = enumerate(entries_of(bureau.store, "identity/"), 1)
    entry = decode(last[1], last[0])
    return sorted((write.collection, len(write.body or b"")) for write in entry.writes)


def test_a_known_number_is_answered_as_an_unknown_one(bureau: Bureau) -> None:
    bureau.sign_in(NUMBER)
    bureau.clock.pass_wall(hours=25)

    def asked(number: str) -> tuple[int, str, list[tuple[str, int]]]:
        page = bureau.ask_code(number)
        text = re.sub(r'value="[^"]*"', "", page.text).replace(number[-4:], "")
        return page.status_code, text, writes_of_last_entry(bureau)

    bureau.clock.pass_wall(seconds=61)
    known = asked(NUMBER)
    bureau.clock.pass_wall(hours=25)
    assert asked("13900000009") == known

    page = bureau.ask_code("13900000008")
    wrong = bureau.give_code(page, "x")
    bureau.clock.pass_wall(hours=25)
    page = bureau.ask_code(NUMBER)
    again = bureau.give_code(page, "x")
    assert (wrong.status_code, alert(wrong)) == (again.status_code, alert(again))


def test_an_account_is_made_by_the_right_code_and_not_before(bureau: Bureau) -> None:
    def accounts() -> int:
        return len(re.findall(rb'"accounts"', bureau.stored()))

    before = accounts()
    page = bureau.ask_code(NUMBER)
    bureau.give_code(page, "x")
    assert accounts() == before
    bureau.give_code(page, bureau.code_sent())
    assert accounts() > before


@pytest.mark.parametrize("changes", [{"state": "closed"}, {"roles": ["operator"]}], ids=str)
def test_a_number_alone_lets_in_no_closed_account_and_no_staff(
    bureau: Bureau, changes: dict[str, Any]
) -> None:
    account = account_of(bureau, NUMBER)

    def change(tx: Transaction) -> object:
        found = tx.require("accounts", account)
        return tx.put("accounts", account, {**found.body, **changes})

    bureau.database.transact(change)
    bureau.clock.pass_wall(seconds=61)
    page = bureau.ask_code(NUMBER)
    answer = bureau.give_code(page, bureau.code_sent())
    assert answer.status_code == 403
    assert "Location" not in answer.headers


# Limits


def test_a_number_gets_a_code_a_minute_five_an_hour_ten_a_day(bureau: Bureau) -> None:
    assert bureau.ask_code(NUMBER).status_code == 200
    soon = bureau.ask_code(NUMBER)
    assert soon.status_code == 429
    assert soon.headers["Retry-After"] == "60"
    sent = 1
    for _ in range(30):
        bureau.clock.pass_wall(seconds=61)
        sent += bureau.ask_code(NUMBER).status_code == 200
    assert sent == LIMITS["number-hour"].most == 5
    for _ in range(6):
        bureau.clock.pass_wall(hours=1)
        sent += bureau.ask_code(NUMBER).status_code == 200
    for _ in range(300):
        bureau.clock.pass_wall(seconds=61)
        sent += bureau.ask_code(NUMBER).status_code == 200
    assert sent == LIMITS["number-day"].most == 10
    bureau.clock.pass_wall(hours=24)
    assert bureau.ask_code(NUMBER).status_code == 200
    assert bureau.ask_code("13800000002").status_code == 200


def numbers(count: int) -> list[str]:
    return [f"139{number:08d}" for number in range(count)]


def test_an_address_gets_so_many_codes_an_hour(bureau: Bureau) -> None:
    most = LIMITS["address-hour"].most
    statuses = []
    for number in numbers(most + 2):
        bureau.clock.pass_wall(seconds=2)
        statuses.append(bureau.ask_code(number, address="203.0.113.7").status_code)
    assert statuses == [200] * most + [429] * 2
    assert most == 60
    bureau.clock.pass_wall(seconds=2)
    other = bureau.ask_code("13700000000", address="203.0.113.8")
    assert other.status_code == 200


def test_an_ipv6_network_is_one_address(bureau: Bureau) -> None:
    most = LIMITS["address-hour"].most
    for place, number in enumerate(numbers(most)):
        bureau.clock.pass_wall(seconds=2)
        bureau.ask_code(number, address=f"2001:db8:1:2::{place:x}")
    near = bureau.ask_code("13700000000", address="2001:db8:1:2:ffff::1")
    assert near.status_code == 429
    far = bureau.ask_code("13700000000", address="2001:db8:1:3::1")
    assert far.status_code == 200


@pytest.mark.parametrize(
    ("said", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("64:ff9b::203.0.113.7", "203.0.113.7"),
        ("64:ff9b::cb00:7107", "203.0.113.7"),
        ("64:ff9b:0:0:0:1::", "64:ff9b::/64"),
        ("2001:db8:1:2::7", "2001:db8:1:2::/64"),
        ("::1", "::/64"),
        ("", "unknown"),
        ("nonsense", "unknown"),
    ],
)
def test_an_ipv4_address_that_is_written_as_ipv6_counts_as_what_it_is(
    said: str, counted: str
) -> None:
    assert forms.address({"HTTP_X_FORWARDED_FOR": said}) == counted


def test_all_numbers_together_get_so_many_codes_a_minute(bureau: Bureau) -> None:
    statuses = [
        bureau.ask_code(number, address=f"198.51.100.{place}").status_code
        for place, number in enumerate(numbers(CODES_PER_MINUTE + 2))
    ]
    assert statuses == [200] * CODES_PER_MINUTE + [429] * 2
    bureau.clock.pass_wall(seconds=59)
    assert bureau.ask_code("13700000000").status_code == 429
    bureau.clock.pass_wall(seconds=1)
    assert bureau.ask_code("13700000000").status_code == 200


# Weak networks


def test_who_cannot_be_served_now_is_told_on_the_page_and_goes_on_from_there(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object) -> object:
        raise Refused(BUSY, retry_after_seconds=2)

    def told(page: TestResponse) -> TestResponse:
        assert (page.status_code, page.headers["Retry-After"]) == (503, "2")
        assert page.headers["Content-Type"].startswith("text/html")
        assert alert(page) == BUSY.zh
        return page

    with monkeypatch.context() as stalled:
        stalled.setattr(bureau.database, "transact", busy)
        asked = told(bureau.ask_code(NUMBER))
    page = bureau.form("/sign-in/code", {"page": hidden(asked), "phone": NUMBER})
    assert page.status_code == 200
    with monkeypatch.context() as stalled:
        stalled.setattr(bureau.database, "transact", busy)
        waiting = told(bureau.give_code(page, bureau.code_sent()))
    assert returned(bureau.give_code(waiting, bureau.code_sent()))["code"]


def test_who_signs_in_while_the_store_is_away_is_told_on_the_page(bureau: Bureau) -> None:
    page = bureau.ask_code(NUMBER)
    code = bureau.code_sent()
    for operation in ("get", "list", "create"):
        bureau.store.inject(operation, refuse(Uncertain("timeout")), times=1000)
    bureau.clock.pass_monotonic(600)
    bureau.clock.hurry()
    for told in (bureau.authorize(), bureau.ask_code("13800000002"), bureau.give_code(page, code)):
        assert told.headers["Content-Type"].startswith("text/html")
    assert alert(told) == BUSY.zh


def test_a_page_that_is_sent_twice_sends_one_code(bureau: Bureau) -> None:
    shown = bureau.authorize()
    first = bureau.ask_code(NUMBER, page=shown)
    again = bureau.ask_code(NUMBER, page=shown)
    assert again.status_code == 200
    assert len(bureau.messages()) == 1
    answers = [bureau.give_code(page, bureau.code_sent()) for page in (again, first)]
    assert [answer.status_code for answer in answers] == [303, 303]
    assert answers[0].headers["Location"] == answers[1].headers["Location"]


def test_a_right_code_that_is_sent_twice_leads_to_the_same_place_once(bureau: Bureau) -> None:
    page = bureau.ask_code(NUMBER)
    code = bureau.code_sent()
    first, again = bureau.give_code(page, code), bureau.give_code(page, code)
    assert first.headers["Location"] == again.headers["Location"]
    assert bureau.redeem(returned(first)["code"]).status_code == 200
    assert bureau.give_code(page, "000000").status_code == 403


def test_another_code_can_be_asked_for(bureau: Bureau) -> None:
    page = bureau.ask_code(NUMBER)
    bureau.clock.pass_wall(seconds=61)
    fresh = bureau.form("/sign-in/code", {"page": hidden(page, 1), "phone": ""})
    second = bureau.ask_code(NUMBER, page=fresh)
    assert second.status_code == 200
    assert len(bureau.messages()) == 2
    assert bureau.give_code(second, bureau.code_sent()).status_code == 303


# Other sites, other browsers, other pages


@pytest.mark.parametrize("path", ["/sign-in/code", "/sign-in"])
def test_a_page_that_was_not_made_here_for_this_browser_is_refused(
    bureau: Bureau, path: str
) -> None:
    mine, other = Client(bureau.app), Client(bureau.app)
    page = bureau.ask_code(NUMBER, mine)
    sealed, code = hidden(page), bureau.code_sent()
    bureau.authorize(other)
    tampered = ("A" if sealed[50] != "A" else "B").join((sealed[:50], sealed[51:]))
    values = {"page": sealed, "phone": "13800000002", "code": code}
    for browser, changed in (
        (other, {}),
        (Client(bureau.app), {}),
        (mine, {"page": tampered}),
        (mine, {"page": sealed[:-8]}),
        (mine, {"page": ""}),
        (mine, {"page": "é" * 50}),
    ):
        answer = bureau.form(path, {**values, **changed}, browser)
        assert answer.status_code == 400
        assert "失效" in alert(answer)
        assert "Location" not in answer.headers
    assert bureau.give_code(page, code, mine).status_code == 303


def test_a_page_waits_for_half_an_hour(bureau: Bureau) -> None:
    page = bureau.authorize()
    bureau.clock.pass_wall(seconds=1801)
    assert bureau.ask_code(NUMBER, page=page).status_code == 400


def test_a_page_is_good_where_the_clock_is_behind(bureau: Bureau) -> None:
    page = bureau.authorize()
    bureau.clock.pass_wall(seconds=-2)
    assert bureau.ask_code(NUMBER, page=page).status_code == 200


def test_a_page_before_a_code_was_sent_takes_none(bureau: Bureau) -> None:
    assert bureau.give_code(bureau.authorize(), "123456").status_code == 400


def test_forms_are_forms(bureau: Bureau) -> None:
    answer = bureau.client.post("/identity/sign-in", data=b"{}", content_type="application/json")
    refused(answer, 415, "unsupported-media-type")
    twice = bureau.client.post(
        "/identity/sign-in", data="code=1&code=2", content_type="application/x-www-form-urlencoded"
    )
    refused(twice, 422, "invalid-request", "code")
