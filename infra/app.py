"""What an app does when somebody signs in: the authorization code grant with PKCE, the page's forms
filled in as a person would. For `make token` and the smoke test.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

from infra.client import Answered, Client
from shared.clock import Clock


class NotSignedIn(Exception):  # noqa: N818 - the message is for a person
    """There is no token to be had."""


@dataclass(frozen=True, slots=True)
class App:
    """An app as identity knows it."""

    id: str
    redirect: str
    scopes: Sequence[str]


@dataclass(slots=True)
class SignIn:
    """One app on somebody's phone, and the somebody. `code_of(number)` is what a person reads in
    the message; it is asked once the code has been sent, and told by `before` that it soon will be.
    """

    app: App
    client: Client
    clock: Clock
    code_of: Callable[[str], str]
    before: Callable[[], None] = lambda: None
    _cookie: str = ""

    def tokens(self, number: str) -> dict[str, object]:
        """Tokens for whoever has the number. Raises NotSignedIn."""
        verifier = _url_safe(self.clock.random(32))
        asked = {
            "response_type": "code",
            "client_id": self.app.id,
            "redirect_uri": self.app.redirect,
            "scope": " ".join(self.app.scopes),
            "state": self.clock.random(16).hex(),
            "code_challenge": _url_safe(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        location = self._at_the_pages(f"/identity/authorize?{urlencode(asked)}", number)
        said = dict(parse_qsl(urlsplit(location).query))
        if said.get("state") != asked["state"] or "code" not in said:
            raise NotSignedIn(f"The app was answered: {said}")
        return self.redeemed(
            {
                "grant_type": "authorization_code",
                "redirect_uri": self.app.redirect,
                "code": said["code"],
                "code_verifier": verifier,
            }
        )

    def redeemed(self, given: Mapping[str, str]) -> dict[str, object]:
        """Tokens for what the app was given. Raises NotSignedIn."""
        return tokens(self.ask("POST", "/identity/token", {"client_id": self.app.id, **given}))

    def ask(
        self,
        method: str,
        path: str,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answered:
        """What the platform answers. Raises NotSignedIn where it does not."""
        sent = {"Accept-Language": "en", **(headers or {})}
        if self._cookie:
            sent["Cookie"] = self._cookie
        answer = self.client.ask(method, path, form, sent)
        if answer is None:
            raise NotSignedIn("The platform does not answer")
        return answer

    def _at_the_pages(self, address: str, number: str) -> str:
        """Where signing in leads."""
        page = self._shown(self.ask("GET", address))
        self.before()
        sent = {"page": page, "phone": number}
        page = self._shown(self.ask("POST", "/identity/sign-in/code", sent))
        answer = self.ask("POST", "/identity/sign-in", {"page": page, "code": self.code_of(number)})
        if answer.status != 303:
            self._shown(answer)
        return answer.headers.get("location", "")

    def _shown(self, answer: Answered) -> str:
        """What the form on a page carries. Raises NotSignedIn, with what the page says."""
        text = answer.body.decode(errors="replace")
        found = re.search(r'name="page" value="([^"]+)"', text)
        wrong = re.search(r'role="alert">([^<]*)<', text)
        if answer.status != 200 or found is None:
            said = wrong[1] if wrong else f"The page answers {answer.status}: {text}"
            wait = answer.headers.get("retry-after")
            raise NotSignedIn(said if wait is None else f"{said} (in {wait} s)")
        set_cookie = answer.headers.get("set-cookie")
        if set_cookie is not None:
            self._cookie = set_cookie.partition(";")[0]
        return found[1]


def tokens(answer: Answered) -> dict[str, object]:
    """The tokens in an answer. Raises NotSignedIn."""
    if answer.status != 200:
        raise NotSignedIn(f"No tokens: {answer.body.decode(errors='replace')}")
    read: dict[str, object] = json.loads(answer.body)
    return read


def code_in(said: str, number: str) -> str | None:
    """The code for a number in what development's notifier says."""
    found = re.findall(rf"to {re.escape(number)}: .*?([0-9]{{6}})", said)
    return found[-1] if found else None


def _url_safe(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
