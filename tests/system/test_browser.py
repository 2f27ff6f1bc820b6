"""In a browser: the pages to try the services on, and those on which people sign in."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from PIL import Image
from pyotp import TOTP
from selenium.webdriver.remote.webelement import WebElement

from infra.app import App
from infra.gateway import Tls
from infra.services import SERVICES
from infra.sign_in import SampleApp, sample_app
from shared.clock import SystemClock
from tests.support.bureau import CHALLENGE, VERIFIER
from tests.support.certificate import self_signed
from tests.support.chromium import Chromium, chromium
from tests.support.crowds import new_key
from tests.support.platform import Platform

pytestmark = pytest.mark.timeout(300)  # the platform's start is within the first test's

LILY = "sample-lanzhou-lily"
LANGUAGES = {"zh-CN": "智慧甘肃", "en": "Smart Gansu"}
RED = "rgb(156, 42, 28)"
PASSWORD = "five green horses graze"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """As everywhere but on a laptop, behind TLS: browsers keep other cookies then."""
    folder = tmp_path_factory.mktemp("browser")
    running = Platform(folder / "run", tls=Tls(*self_signed(folder)))
    try:
        running.start()
        yield running
    finally:
        running.end()


@pytest.fixture
def here(platform: Platform) -> str:
    """The platform's origin."""
    return f"https://127.0.0.1:{platform.port}"


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chromium]:
    with chromium(tmp_path / "profile", "zh-CN") as browser:
        yield browser


# The page to try a service on


@dataclass(frozen=True, slots=True)
class Shown:
    """An answer as the page shows it."""

    status: int
    headers: dict[str, str]
    text: str

    def json(self) -> Any:
        return json.loads(self.text)


class TryIt:
    """A service's page, and somebody before it."""

    def __init__(self, browser: Chromium, here: str, service: str) -> None:
        self.browser = browser
        self._address = f"{here}/{service}"
        browser.open(f"{self._address}/docs")
        browser.wait(lambda: browser.all("details"), "the operations")

    def be(self, token: str) -> None:
        self.browser.type("#token", token)

    def opened(self, operation: str) -> WebElement:
        """The form of an operation, such as `POST /v1/orders`."""
        method, path = operation.split()
        whole = f"{method} {urlsplit(self._address).path}{path}"
        [found] = [
            each
            for each in self.browser.all("details")
            if self.browser.run("return arguments[0].querySelector('code').textContent", each)
            == whole
        ]
        if found.get_attribute("open") is None:
            found.find_element("css selector", "summary").click()
        self.browser.wait(lambda: found.find_elements("css selector", "form"), f"form of {whole}")
        return found.find_element("css selector", "form")

    def send(self, operation: str, **values: str) -> Shown:
        """Fill in fields by their names, without their places, and send."""
        form = self.opened(operation)
        for name, value in values.items():
            ends = name.replace("_", "-") if name[0].isupper() else name
            field = form.find_element("css selector", f"[name='{ends}'], [name$=':{ends}']")
            if field.get_attribute("type") != "file":
                field.clear()
            field.send_keys(value)
        form.find_element("css selector", "button").click()
        answer = form.find_element("css selector", "pre")
        self.browser.wait(lambda: answer.text not in ("", "…"), f"the answer to {operation}")
        head, _, text = str(answer.get_property("textContent")).partition("\n\n")
        status, *headers = head.split("\n")
        named = [line.partition(": ") for line in headers]
        return Shown(int(status.split()[0]), {name: value for name, _, value in named}, text)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("service", SERVICES)
def test_every_form_opens_and_nothing_is_loaded_from_elsewhere(
    platform: Platform, here: str, tmp_path: Path, service: str, language: str
) -> None:
    answer = platform.request(
        "GET", f"/{service}/openapi.json", headers={"Accept-Language": language}
    )
    described = [
        operation for methods in answer.json()["paths"].values() for operation in methods.values()
    ]
    with chromium(tmp_path / "profile", language) as browser:
        page = TryIt(browser, here, service)
        assert browser.driver.title.startswith(LANGUAGES[language])
        assert browser.run("return document.documentElement.lang") == language
        shown = [element.text for element in browser.all("summary span")]
        assert shown == [operation["summary"] for operation in described]
        for summary in browser.all("summary"):
            summary.click()
        browser.wait(lambda: len(browser.all("form")) == len(described), "a form of each")
        keys = [
            element.get_attribute("value")
            for element in browser.all("[name='header:Idempotency-Key']")
        ]
        assert len(set(keys)) == len(keys)
        assert page.browser.origins() == {here}
        assert browser.complaints() == []


def test_the_front_page_leads_to_the_service(browser: Chromium, here: str) -> None:
    browser.open(here)
    assert browser.one("h1").text == "智慧甘肃"
    assert [link.text for link in browser.all("a[href$='/docs']")] == list(SERVICES)
    assert browser.run("return getComputedStyle(document.body).maxWidth") == "576px"
    browser.press("a[href='/health/docs']")
    browser.wait(lambda: browser.all("details"), "the operations")
    assert browser.driver.title == "智慧甘肃 健康"
    assert browser.complaints() == []


def test_another_language_is_one_choice_away(browser: Chromium, here: str) -> None:
    TryIt(browser, here, "commerce")
    browser.press("#language option[value='en']")
    browser.wait(lambda: browser.driver.title.startswith("Smart Gansu"), "English")
    assert browser.one("header [data-word='token']").text == "Access token"
    assert browser.run("return document.documentElement.lang") == "en"


def test_lily_bulbs_are_found_ordered_and_read_on_the_page(
    browser: Chromium, platform: Platform, here: str
) -> None:
    page = TryIt(browser, here, "commerce")
    found = page.send("GET /v1/products", q="百合", limit="1").json()["items"]
    assert [item["id"] for item in found] == [LILY]
    line = {"product_id": LILY, "quantity": 2}
    refused = page.send("POST /v1/orders", body=json.dumps({"lines": [line]}))
    assert (refused.status, refused.json()["type"]) == (401, "/problems/unauthenticated")

    page.be(platform.token("citizen-0001"))
    placed = page.send("POST /v1/orders", body=json.dumps({"lines": [line]}))
    assert placed.status == 201
    # The form kept its key: to press again is to ask again, not to order again.
    again = page.send("POST /v1/orders")
    assert (again.status, again.json()) == (201, placed.json())
    order = placed.json()["id"]
    read = page.send("GET /v1/orders/{order_id}", order_id=order)
    assert (read.status, read.json()) == (200, placed.json())
    page.be(platform.token("citizen-0002"))
    assert page.send("GET /v1/orders/{order_id}", order_id=order).status == 404
    assert browser.origins() == {here}


def test_what_merchants_write_is_shown_and_never_run(
    browser: Chromium, platform: Platform, here: str, tmp_path: Path
) -> None:
    [lily] = platform.get(f"/commerce/v1/products?q={quote('百合')}&limit=1")["items"]
    page = TryIt(browser, here, "commerce")
    page.be(platform.token("merchant-gansu"))
    operation = "POST /v1/stores/{store_id}/products"
    area = page.opened(operation).find_element("css selector", "textarea")
    example = json.loads(str(area.get_property("value")))
    bold = "<img src=/stolen onerror=document.title=1>"
    body = json.dumps({**example, "name_zh": bold})
    made = page.send(operation, store_id=lily["store_id"], body=body)
    assert (made.status, made.json()["name_zh"]) == (201, bold)
    assert browser.all("pre img") == []

    upload = tmp_path / "picture.png"
    Image.radial_gradient("L").resize((800, 600)).save(upload, "PNG")
    product = made.json()["id"]
    given = page.send(
        "POST /v1/products/{product_id}/picture", product_id=product, upload=str(upload)
    )
    assert given.status == 201, given
    shown = page.send(
        "GET /v1/products/{product_id}/pictures/{picture_id}/{size}",
        product_id=product,
        picture_id=given.json()["picture"].split("/")[-1],
        size="160",
    )
    assert shown.status == 200, shown
    browser.wait(lambda: browser.run(_WIDTHS) == [160], "the picture")
    assert not [address for address in browser.requests() if address.endswith("/stolen")]
    assert browser.origins() == {here}
    assert browser.complaints() == []


_WIDTHS = """
    return Array.from(document.images).filter((each) => !each.hidden)
        .map((each) => each.naturalWidth)
"""


# Signing in


class Door:
    """The pages on which somebody signs in to the sample app, and the app behind them."""

    def __init__(self, browser: Chromium, platform: Platform, here: str) -> None:
        self.browser = browser
        self.platform = platform
        self.app: App = sample_app()
        asked = {
            "response_type": "code",
            "client_id": self.app.id,
            "redirect_uri": self.app.redirect,
            "scope": "openid account:read",
            "state": "of the app",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        self._messages = SampleApp(platform.layout, SystemClock())
        self._messages._look()
        browser.open(f"{here}/identity/authorize?{urlencode(asked)}")

    def type_number(self, number: str) -> None:
        self.browser.type("#phone", number)
        self.browser.press("form[action='/identity/sign-in/code'] button")

    def code(self, number: str) -> str:
        return self._messages._code(number)

    def type_code(self, code: str) -> None:
        self.browser.type("#code", code)
        self.browser.press("form[action='/identity/sign-in'] button")

    def alert(self) -> str:
        return self.browser.one("[role='alert']").text

    def account(self) -> Any:
        """What the app is told of the account, once the browser has been sent back to it."""

        def sent() -> list[str]:
            return [at for at in self.browser.requests() if at.startswith(self.app.redirect)]

        self.browser.wait(sent, "the way back to the app")
        [address] = sent()
        said = parse_qs(urlsplit(address).query)
        assert said["state"] == ["of the app"]
        form = {
            "grant_type": "authorization_code",
            "client_id": self.app.id,
            "redirect_uri": self.app.redirect,
            "code": said["code"][0],
            "code_verifier": VERIFIER,
        }
        answer = self._messages._sign_in.ask("POST", "/identity/token", form)
        assert answer.status == 200, answer
        return self.platform.get("/identity/v1/account", answer.json()["access_token"])


def refusals(browser: Chromium) -> list[str]:
    """The statuses of the pages that said no, which has to be all that the browser minds."""
    statuses = [re.findall(r"status of ([0-9]+)", said) for said in browser.complaints()]
    assert all(statuses), browser.complaints()
    return [status for [status] in statuses]


def test_a_citizen_signs_in(browser: Chromium, platform: Platform, here: str) -> None:
    door = Door(browser, platform, here)
    assert browser.one("h1").text == "登录“智慧甘肃（示例应用）”"
    assert browser.run(_COLOUR) == RED, "the policy does not let the page be as it is meant to"
    assert browser.run("return document.activeElement.id") == "phone"

    door.type_number("12345")
    assert door.alert() == "须为中国大陆手机号码"
    door.type_number("138 0000 7701")
    code = door.code("+8613800007701")
    door.type_code("000000" if code != "000000" else "111111")
    assert door.alert() == "验证码不正确，请再试一次。"
    door.type_code(code)
    assert door.account()["roles"] == ["citizen"]
    assert refusals(browser) == ["422", "403"]
    assert browser.origins() == {here, f"{urlsplit(door.app.redirect).scheme}://"}


_COLOUR = "return getComputedStyle(document.querySelector('button')).backgroundColor"


def test_a_number_is_corrected(browser: Chromium, platform: Platform, here: str) -> None:
    door = Door(browser, platform, here)
    door.type_number("138 0000 7702")
    assert browser.one("label[for='code']").text == "已发送至尾号7702的手机"
    browser.press("button.other")
    door.type_number("138 0000 7703")
    assert browser.one("label[for='code']").text == "已发送至尾号7703的手机"
    door.type_code(door.code("+8613800007703"))
    assert door.account()["roles"] == ["citizen"]
    assert browser.complaints() == []


def test_staff_enrol_and_sign_in(browser: Chromium, platform: Platform, here: str) -> None:
    operator = platform.token("operator-1")

    def done(path: str, body: object) -> Any:
        key = {"Idempotency-Key": new_key()}
        answer = platform.request("POST", f"/identity/v1/{path}", body, token=operator, headers=key)
        assert answer.status == 201, answer
        return answer.json()

    invited = done("staff", {"name": "li.si"})
    done(f"accounts/{invited['id']}/roles", {"role": "station_agent", "reason": "a test"})
    browser.open(f"{here}/identity/enrolment")
    browser.type("#invitation", invited["invitation"])
    browser.press("button")
    secret = browser.one("code").text
    browser.type("#name", "li.si")
    browser.type("#password", PASSWORD)
    browser.type("#code", TOTP(secret).now())
    browser.press("button")
    # What only the next page has: the one that is being left has a heading, too.
    browser.wait(lambda: browser.all("li code"), "the recovery codes")
    assert browser.one("h1").text == "登记完成"
    recovery = [element.text for element in browser.all("li code")]

    door = Door(browser, platform, here)
    browser.press("button.other")
    for password in ("another password", PASSWORD):
        browser.type("#name", "li.si")
        browser.type("#password", password)
        browser.type("#code", recovery[0])
        browser.press("button")
        if password != PASSWORD:
            assert door.alert() == "登录名、密码或动态码不正确"
    assert door.account()["roles"] == ["station_agent"]
    assert refusals(browser) == ["403"]
