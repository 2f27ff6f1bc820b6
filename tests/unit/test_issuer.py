"""The development issuer: for development, and for nothing else."""

from pathlib import Path

import orjson
import pytest
from werkzeug.test import Client, TestResponse

from infra.issuer import KINDS, create_app, open_key
from shared.auth.delegations import Seal
from shared.auth.keys import SigningKeys, source_of
from shared.auth.subjects import subjects
from shared.auth.tokens import TokenVerifier
from shared.settings import IssuerSettings
from tests.support.clock import FakeClock
from tests.support.served import json_of, refused
from tests.support.tokens import SUBJECT_KEY


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def settings_in(directory: Path, **more: str) -> IssuerSettings:
    environ = {"GANSU_ENV": "development", "GANSU_ISSUER_DIRECTORY": str(directory)}
    return IssuerSettings.from_environ({**environ, **more})


@pytest.fixture
def client(tmp_path: Path, clock: FakeClock) -> Client:
    return Client(create_app(settings_in(tmp_path), clock))


def verifier(directory: Path, clock: FakeClock) -> TokenVerifier:
    """Commerce's own, reading the issuer's document as a file."""
    return TokenVerifier(
        SigningKeys(source_of(str(directory / "jwks.json")), clock),
        subjects(SUBJECT_KEY),
        clock,
        issuer=settings_in(directory).issuer,
        audience="commerce",
        seal=Seal(SUBJECT_KEY),
    )


def ask(client: Client, body: object) -> TestResponse:
    return client.post(
        "/identity/dev/token", data=orjson.dumps(body), content_type="application/json"
    )


def token(client: Client, account: str) -> str:
    answer = ask(client, {"account": account})
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    return str(json_of(answer)["access_token"])


def test_it_starts_nowhere_but_in_development(tmp_path: Path, clock: FakeClock) -> None:
    settings = settings_in(
        tmp_path / "none", GANSU_ENV="production", GANSU_ISSUER="https://identity.gansu.example"
    )
    with pytest.raises(RuntimeError, match="GANSU_ENV=development"):
        create_app(settings, clock)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("account", "roles"),
    [
        ("citizen-0001", {"citizen"}),
        ("citizen-999999", {"citizen"}),
        ("merchant-gansu", {"citizen", "merchant"}),
        ("merchant-longnan", {"citizen", "merchant"}),
        ("scenic-mogao", {"scenic_staff"}),
        ("gate-mogao", {"gate"}),
        ("hospital-lzu-first", {"hospital_staff"}),
        ("clinician-lzu-first", {"clinician"}),
        ("operator-1", {"operator"}),
    ],
)
def test_sample_accounts_get_tokens_that_commerce_takes(
    client: Client, tmp_path: Path, clock: FakeClock, account: str, roles: set[str]
) -> None:
    identity = verifier(tmp_path, clock).identify(f"Bearer {token(client, account)}")
    assert identity.roles == roles
    assert identity.subject == subjects(SUBJECT_KEY)(account)
    if "merchant" in roles:
        assert {"stores:read", "stores:write", "orders:write"} <= identity.scopes
    if roles == {"citizen"}:
        things = ("orders", "tickets", "appointments")
        assert identity.scopes == {f"{thing}:{do}" for thing in things for do in ("read", "write")}
    if roles == {"gate"}:
        assert identity.scopes == {"tickets:check"}


def test_a_token_outlives_a_restart(client: Client, tmp_path: Path, clock: FakeClock) -> None:
    held = token(client, "citizen-0001")
    before = (tmp_path / "jwks.json").read_bytes()
    create_app(settings_in(tmp_path), clock)
    assert (tmp_path / "jwks.json").read_bytes() == before
    assert verifier(tmp_path, clock).identify(f"Bearer {held}").subject


def test_its_key_is_the_owners_to_read_and_not_published(client: Client, tmp_path: Path) -> None:
    assert (tmp_path / "signing-key.json").stat().st_mode & 0o077 == 0
    published = json_of(client.get("/identity/.well-known/jwks.json"))
    assert published == orjson.loads((tmp_path / "jwks.json").read_bytes())
    assert [sorted(key) for key in published["keys"]] == [
        ["alg", "crv", "kid", "kty", "use", "x", "y"]
    ]


def test_two_machines_have_two_keys(tmp_path: Path, clock: FakeClock) -> None:
    one, other = open_key(tmp_path / "one", clock), open_key(tmp_path / "other", clock)
    assert one.thumbprint() != other.thumbprint()


@pytest.mark.parametrize(
    "account",
    ["", "wang", "citizen-", "citizen-x", "citizen-1234567", "merchant-", "root", "citizen-1\n"],
)
def test_other_accounts_get_none(client: Client, account: str) -> None:
    refused(ask(client, {"account": account}), 422, "invalid-request", "account")


@pytest.mark.parametrize("body", [{}, [], {"account": 1}, {"account": None}, "citizen-0001"])
def test_a_request_without_an_account_is_named(client: Client, body: object) -> None:
    refused(ask(client, body), 422, "invalid-request", "account")


def test_the_page_shows_the_accounts_with_a_button_each(client: Client) -> None:
    page = client.get("/identity/dev")
    for kind in KINDS:
        for account in kind.shown:
            assert account in page.text
            assert kind.pattern.fullmatch(account)
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    pressed = client.post("/identity/dev/token", data={"account": "citizen-0001"})
    assert json_of(pressed)["token_type"] == "Bearer"


def test_the_rest_is_problem_documents(client: Client) -> None:
    refused(client.get("/identity"), 404, "not-found")
    answer = client.get("/identity/dev/token")
    refused(answer, 405, "method-not-allowed")
    assert "POST" in answer.headers["Allow"]
    raw = client.post("/identity/dev/token", data=b"{", content_type="application/json")
    refused(raw, 400, "malformed-request")
    assert client.get("/identity/health/ready").status_code == 200
