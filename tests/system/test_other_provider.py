"""Any standard provider can stand in identity's place, by two settings: here npm's oidc-provider.

Its user signs in on its own pages, an app redeems the code, and a service that was told its issuer
and keys takes the token. Nothing of ours is between the two.
"""

import base64
import hashlib
import re
import subprocess
from collections.abc import Iterator
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urlencode, urlsplit
from urllib.request import HTTPCookieProcessor, build_opener

import orjson
import pytest
from werkzeug.test import Client

from infra.seaweed import free_ports
from services.commerce.app import create_app
from services.commerce.pictures import Gallery
from shared.assembly import open_edge
from shared.clock import SystemClock
from shared.condition import Condition
from shared.settings import Settings
from tests.support.npm import installed, node
from tests.support.served import all_divisions, json_of
from tests.support.shop import Shop, order_of
from tests.support.waiting import wait_until

FOLDER = Path(__file__).parent / "other_provider"
REDIRECT = "cn.gansu.app:/signed-in"
VERIFIER = "a-verifier-that-the-app-keeps-to-itself-0123456789"


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The provider's address."""
    [port] = free_ports(1)
    said = tmp_path_factory.mktemp("provider") / "said"
    with said.open("wb") as out:
        process = subprocess.Popen(
            [node(), "server.mjs", str(port)], cwd=installed(FOLDER), stdout=out, stderr=out
        )
    try:
        wait_until(lambda: "ready" in said.read_text(), f"the provider; see {said}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


class Browser:
    """Somebody's browser: keeps cookies, follows redirects."""

    def __init__(self) -> None:
        # The names of its cookies are paths: what a browser of today takes.
        jar = CookieJar(DefaultCookiePolicy(strict_ns_domain=DefaultCookiePolicy.DomainLiberal))
        self._opener = build_opener(HTTPCookieProcessor(jar))

    def open(self, address: str, form: dict[str, str] | None = None) -> tuple[str, str]:
        """Where it ended, and what stood there."""
        data = None if form is None else urlencode(form).encode()
        try:
            with self._opener.open(address, data, timeout=10) as answer:
                return answer.url, answer.read().decode()
        except HTTPError as error:
            with error:
                # An app's own scheme: the app would take over.
                leads_to = error.headers.get("Location", "")
                if error.code == 303 and leads_to.startswith(REDIRECT):
                    return leads_to, ""
                raise AssertionError(error.read().decode()) from error


def ask(address: str, form: dict[str, str] | None = None) -> Any:
    _, text = Browser().open(address, form)
    return orjson.loads(text)


def signed_in(metadata: dict[str, Any]) -> str:
    """The access token of an app whose user has signed in at the provider."""
    digest = hashlib.sha256(VERIFIER.encode()).digest()
    asked = {
        "response_type": "code",
        "client_id": "gansu-app",
        "redirect_uri": REDIRECT,
        "scope": "openid orders:read orders:write",
        "state": "a state",
        "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
        "code_challenge_method": "S256",
    }
    browser = Browser()
    at, page = browser.open(f"{metadata['authorization_endpoint']}?{urlencode(asked)}")
    for prompt in ("login", "consent"):
        assert f'value="{prompt}"' in page, page
        [action] = set(re.findall(r'action="([^"]+)"', page))
        form = {"prompt": prompt, "login": "a-citizen-of-theirs", "password": "x"}
        at, page = browser.open(action, form)
    said = dict(parse_qsl(urlsplit(at).query))
    assert said["state"] == "a state"
    assert said["iss"] == metadata["issuer"]
    tokens = ask(
        metadata["token_endpoint"],
        {
            "grant_type": "authorization_code",
            "client_id": "gansu-app",
            "redirect_uri": REDIRECT,
            "code": said["code"],
            "code_verifier": VERIFIER,
        },
    )
    return str(tokens["access_token"])


def test_a_service_takes_another_providers_tokens_by_configuration(
    provider: str, tmp_path: Path
) -> None:
    metadata = ask(f"{provider}/.well-known/openid-configuration")
    token = signed_in(metadata)
    clock = SystemClock()
    settings = Settings.from_environ(
        {
            "GANSU_ENV": "development",
            "GANSU_ISSUER": metadata["issuer"],
            "GANSU_JWKS": metadata["jwks_uri"],
        }
    )
    with Shop(tmp_path) as shop:
        lily = shop.lily(on_hand=3)
        edge = open_edge(settings, "commerce", clock)
        gallery = Gallery(shop.store, "commerce/pictures/", clock)
        client = Client(
            create_app(shop.database, all_divisions(), gallery, 20, edge, Condition(clock))
        )

        def order(bearer: str) -> Any:
            return client.post(
                "/commerce/v1/orders",
                data=orjson.dumps(order_of(lily, 2)),
                content_type="application/json",
                headers={"Authorization": f"Bearer {bearer}", "Idempotency-Key": "first"},
            )

        placed = order(token)
        assert placed.status_code == 201, placed.text
        assert json_of(order(token))["id"] == json_of(placed)["id"]
        assert order(shop.issuer.token("citizen-1")).status_code == 401
        assert order(token[:-8] + "AAAAAAAA").status_code == 401
