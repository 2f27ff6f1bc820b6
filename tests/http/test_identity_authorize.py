"""What an app asks before anybody is asked to sign in, and where a refusal leads."""

import pytest

from tests.support.bureau import (
    APP,
    REDIRECT,
    Bureau,
    returned,
)
from tests.support.served import refused
from tests.support.tokens import ISSUER

NUMBER = "13800000001"


# What an app asks


@pytest.mark.parametrize(
    "address",
    [
        f"{REDIRECT}/",
        f"{REDIRECT}?x=1",
        f"{REDIRECT}#x",
        REDIRECT.upper(),
        "cn.gansu.app:/signed",
        "https://evil.example/",
        "javascript:alert(1)",
        "",
        "\u2028",
        f"{REDIRECT}\r\nX: y",
    ],
)
def test_an_address_that_is_not_the_apps_own_is_led_to_by_nothing(
    bureau: Bureau, address: str
) -> None:
    for changes in ({}, {"code_challenge": None}, {"response_type": "token"}, {"prompt": "none"}):
        answer = bureau.authorize(redirect_uri=address, **changes)
        assert answer.status_code == 400
        assert "Location" not in answer.headers


def test_a_client_that_is_unknown_closed_or_no_app_is_led_to_by_nothing(bureau: Bureau) -> None:
    for client in ("nobody", "snow-logistics", "x" * 900, "\x00", "../clients"):
        answer = bureau.authorize(client_id=client)
        assert answer.status_code == 400
        assert "Location" not in answer.headers
    answer = bureau.post(f"/v1/clients/{APP}/closure", by="operator-1")
    assert answer.status_code == 201
    bureau.clock.pass_monotonic(2)
    assert bureau.authorize().status_code == 400


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge": "x" * 43 + "\n"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"prompt": "none"}, "login_required"),
        ({"response_mode": "fragment"}, "invalid_request"),
    ],
)
def test_what_an_app_asks_wrongly_is_told_to_the_app(
    bureau: Bureau, changes: dict[str, str | None], error: str
) -> None:
    answer = bureau.authorize(**changes)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(f"{REDIRECT}?")
    said = returned(answer)
    assert (said["error"], said["state"], said["iss"]) == (error, "a state of the app", ISSUER)


def test_requests_by_reference_are_not_taken(bureau: Bureau) -> None:
    for name in ("request", "request_uri"):
        answer = bureau.authorize(**{name: "https://evil.example/"})
        assert answer.status_code == 400
        assert "Location" not in answer.headers


def test_a_parameter_that_stands_twice_is_refused(bureau: Bureau) -> None:
    answer = bureau.client.get(f"/identity/authorize?client_id={APP}&client_id={APP}")
    refused(answer, 422, "invalid-request", "client_id")


@pytest.mark.parametrize("state", ["<script>", "a b+c&d=e%20", "状态", "'\"\r\nX: y", "x" * 1000])
def test_a_state_comes_back_as_it_was(bureau: Bureau, state: str) -> None:
    page = bureau.authorize(state=state)
    assert "<script" not in page.text
    answer = bureau.give_code(bureau.ask_code(NUMBER, page=page), bureau.code_sent())
    assert returned(answer)["state"] == state
    assert "\n" not in answer.headers["Location"]


def test_a_state_that_is_too_long_is_refused(bureau: Bureau) -> None:
    assert bureau.authorize(state="x" * 1001).status_code == 400
