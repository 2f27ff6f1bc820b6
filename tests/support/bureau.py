"""Identity over HTTP, in-process and in memory, and an app that people sign in to.

with Bureau(tmp_path) as bureau:
    tokens = bureau.sign_in("13800000001")
    answer = bureau.get("/v1/account", token=tokens["access_token"])
"""

import base64
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import orjson
from werkzeug.test import Client, TestResponse

from services.identity.actions import clients as client_actions
from services.identity.actions.accounts import Sample, plant_accounts
from services.identity.actions.keys import Keys
from services.identity.actions.names import Registry
from services.identity.actions.oauth import Issuing
from services.identity.actions.upkeep import upkeep
from services.identity.app import create_app
from services.identity.domain import CATALOGUE
from services.identity.domain.clients import Registration
from services.identity.domain.names import VERIFIER_DOWN, Person
from services.identity.domain.scopes import OFFICE as OFFICE_SCOPES
from services.identity.domain.scopes import SCOPES
from services.identity.domain.secrets import Secrets
from services.identity.notices import NOTICES, Unsealing
from services.identity.routes.parts import Identity
from shared.auth.delegations import Seal
from shared.auth.keys import SigningKeys
from shared.auth.subjects import subjects
from shared.auth.tokens import TokenVerifier
from shared.condition import Condition
from shared.errors import Refused
from shared.notices.mapping import messages_of
from shared.notices.message import Message, Unsent
from shared.sealing import Vault
from shared.storage.access import Database
from shared.storage.database import JournalDatabase
from shared.storage.entry import decode
from shared.storage.memory import MemoryStore
from shared.web.service import Application, Edge
from tests.support.ledger import entries_of
from tests.support.served import Json, Served, json_of
from tests.support.tokens import ISSUER, SUBJECT_KEY

APP = "gansu-app"
REDIRECT = "cn.gansu.app:/signed-in"
FIRM = "snow-logistics"
OPERATOR = "operator-1"
OFFICE = "office-app"
TOKEN_SECONDS = 600
CODES_PER_MINUTE = 50
VERIFIER = "a-verifier-that-the-app-keeps-to-itself-0123456789"
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
)
HTTPS = "https://identity.gansu.example"
FORM = "application/x-www-form-urlencoded"


class Phones:
    """A notifier that keeps what it was handed."""

    def __init__(self) -> None:
        self.got: list[Message] = []

    def send(self, message: Message) -> None:
        self.got.append(message)


class Authority:
    """Knows who is who; everybody is who they say they are, but for those named otherwise."""

    source = "development"

    def __init__(self) -> None:
        self.strangers: set[str] = set()
        self.unrelated: set[str] = set()
        self.phones: dict[str, str] = {}
        """Whose mobile number is known to be another than they may say, by ID number."""
        self.is_down = False

    def belongs(self, person: Person) -> bool:
        if self.is_down:
            raise Refused(VERIFIER_DOWN)
        said = person.phone
        is_theirs = said is None or self.phones.get(person.number, said) == said
        return person.number not in self.strangers and is_theirs

    def guards(self, guardian: Person, child: Person) -> bool:
        return child.number not in self.unrelated and guardian.born < child.born


class Bureau(Served):
    """Identity, with one app and one firm made known, and an operator."""

    def __init__(self, directory: Path, *, staff_by_number: bool = False, **options: Any) -> None:
        self._staff_by_number = staff_by_number
        self.authority = Authority()
        super().__init__(directory, "identity", CATALOGUE, self._create, **options)
        everyday = [name for name in SCOPES if name not in OFFICE_SCOPES]
        app = Registration("app", "掌上甘肃", "Gansu in Hand", [REDIRECT], everyday, [])
        firm = Registration("firm", "雪山物流", "Snow Logistics", [], ["account:read"], ["partner"])
        client_actions.plant_clients(self.database, {APP: app, FIRM: firm})
        operator = Sample(OPERATOR, ["operator"], self.secrets.phone("+8613900000000"))
        plant_accounts(self.database, [operator])

    def _create(self, database: Database, edge: Edge, condition: Condition) -> Application:
        self.secrets = Secrets(
            b"a digest key that only tests know, 32+",
            b"a token key that only tests know, 32++",
            b"a sealing key that only tests know, 32",
            self.clock.random,
        )
        self.keys = Keys(self.secrets.sealing)
        self.upkeep = upkeep(self.keys)
        staff = self._staff_by_number
        issuing = Issuing(self.secrets, self.keys, ISSUER, TOKEN_SECONDS, staff_by_number=staff)
        parts = Identity(database, issuing, self.clock, CODES_PER_MINUTE, self.registry())
        own = Edge(
            self.verifier_for("identity", str), edge.request_key, edge.clock, edge.log, 1 << 16
        )
        return create_app(parts, own, condition)

    def registry(self) -> Registry:
        """What names are verified and kept with, on the one bucket."""
        vault = Vault(self.store, "identity/keys/", {"test": b"m" * 32}, self.clock)
        return Registry(vault, self.authority, self.secrets)

    @contextmanager
    def another(self, directory: Path) -> Iterator[Client]:
        """A second container on the same journal, with a replica and caches of its own."""
        store = MemoryStore(self.bucket, clock=self.clock)
        database = JournalDatabase(
            store, CATALOGUE, prefix="identity/", directory=directory, clock=self.clock
        )
        issuing = Issuing(self.secrets, Keys(self.secrets.sealing), ISSUER, TOKEN_SECONDS)
        parts = Identity(database, issuing, self.clock, CODES_PER_MINUTE, self.registry())
        try:
            yield Client(create_app(parts, self.edge, Condition(self.clock)))
        finally:
            self.clock.hurry()
            database.close()
            self.clock.rest()

    def verifier_for(self, audience: str, subject_of: Any = None) -> TokenVerifier:
        """A service's own verifier, on the keys that identity publishes and those of the tests."""

        def published() -> bytes:
            keys = orjson.loads(self.issuer.published)["keys"] + self.keys.published(self.database)
            return orjson.dumps({"keys": keys})

        return TokenVerifier(
            SigningKeys(published, self.clock),
            subject_of or subjects(SUBJECT_KEY),
            self.clock,
            issuer=ISSUER,
            audience=audience,
            seal=Seal(SUBJECT_KEY),
        )

    def open_office(self) -> None:
        """Make the office's own app known, as whoever begins a platform does."""
        app = Registration("app", "管理平台", "Office", [REDIRECT], list(SCOPES), [], office=True)
        client_actions.plant_clients(self.database, {OFFICE: app})

    # The app

    def authorize(self, browser: Client | None = None, /, **changes: str | None) -> TestResponse:
        """The app sends somebody to sign in; a change to None leaves that parameter out."""
        asked: dict[str, str | None] = {
            "response_type": "code",
            "client_id": APP,
            "redirect_uri": REDIRECT,
            "scope": "openid account:read orders:read orders:write",
            "state": "a state of the app",
            "nonce": "a nonce of the app",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **changes,
        }
        query = urlencode({name: value for name, value in asked.items() if value is not None})
        return (browser or self.client).get(f"/identity/authorize?{query}", base_url=HTTPS)

    def form(
        self, path: str, values: dict[str, str], browser: Client | None = None, /, **headers: str
    ) -> TestResponse:
        return (browser or self.client).post(
            f"/identity{path}",
            data=urlencode(values),
            content_type=FORM,
            headers=headers,
            base_url=HTTPS,
        )

    def by_secret(self, client: str, secret: str, **values: str) -> TestResponse:
        """The token request of a client that acts for itself."""
        basic = base64.b64encode(f"{client}:{secret}".encode()).decode()
        asked = {"grant_type": "client_credentials", **values}
        return self.form("/token", asked, Authorization=f"Basic {basic}")

    def redeem(self, code: str, at: Client | None = None, /, **changes: str) -> TestResponse:
        """The app's token request for a code."""
        values = {
            "grant_type": "authorization_code",
            "client_id": APP,
            "redirect_uri": REDIRECT,
            "code": code,
            "code_verifier": VERIFIER,
            **changes,
        }
        return self.form("/token", {name: value for name, value in values.items() if value}, at)

    def refresh(
        self, refresh_token: str, at: Client | None = None, /, **changes: str
    ) -> TestResponse:
        """The app's token request for a refresh token."""
        values = {"grant_type": "refresh_token", "client_id": APP, "refresh_token": refresh_token}
        return self.form("/token", {**values, **changes}, at)

    # The person

    def ask_code(
        self,
        number: str,
        browser: Client | None = None,
        *,
        page: TestResponse | None = None,
        address: str = "127.0.0.1",
    ) -> TestResponse:
        """Somebody types a number into the sign-in page."""
        shown = page or self.authorize(browser)
        assert shown.status_code == 200, shown.text
        values = {"page": hidden(shown), "phone": number}
        return self.form("/sign-in/code", values, browser, **{"X-Forwarded-For": address})

    def give_code(
        self, page: TestResponse, code: str, browser: Client | None = None
    ) -> TestResponse:
        """Somebody types a code into the page that asks for it."""
        return self.form("/sign-in", {"page": hidden(page), "code": code}, browser)

    def outgoing(self) -> list[Message]:
        """Every message as the notifier writes it down: sealed."""
        return [
            message
            for seq, stored in enumerate(entries_of(self.store, "identity/"), 1)
            for message in messages_of(decode(stored, seq), NOTICES, CATALOGUE)
        ]

    def messages(self) -> list[Message]:
        """Every message that would go out now, as it would."""
        phones = Phones()
        notifier = Unsealing(self.secrets.sealing, self.clock, phones)
        for message in self.outgoing():
            with suppress(Unsent):
                notifier.send(message)
        return phones.got

    def code_sent(self) -> str:
        """The last code that was sent."""
        [code] = re.findall(r"\d{6}", self.messages()[-1].text.zh)
        return str(code)

    def code_for_app(
        self, number: str, browser: Client | None = None, /, **changes: str | None
    ) -> str:
        """The authorization code that somebody's sign-in gives the app, as `authorize` asked."""
        page = self.ask_code(number, browser, page=self.authorize(browser, **changes))
        answer = self.give_code(page, self.code_sent(), browser)
        assert answer.status_code == 303, answer.text
        return returned(answer)["code"]

    def sign_in(self, number: str = "13800000001", /, **changes: str | None) -> Json:
        """All tokens of a new sign-in, as `authorize` asked."""
        answer = self.redeem(self.code_for_app(number, **changes))
        assert answer.status_code == 200, answer.text
        return json_of(answer)


def hidden(page: TestResponse, place: int = 0) -> str:
    """What a page's form carries."""
    found: list[str] = re.findall(r'name="page" value="([^"]+)"', page.text)
    return found[place]


def returned(answer: TestResponse) -> dict[str, str]:
    """What an answer takes back to the app."""
    return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))


def claims_of(token: str) -> Json:
    payload = token.split(".")[1]
    claims: Json = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def denied(answer: TestResponse, error: str, status: int = 400) -> None:
    assert answer.status_code == status, answer.text
    assert json_of(answer)["error"] == error
    assert "token" not in answer.text
    assert answer.headers["Cache-Control"] == "no-store"


def given(answer: TestResponse) -> Json:
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    return json_of(answer)
