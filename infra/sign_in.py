"""`make token ACCOUNT=citizen-0001`: sign in to the platform on this machine; an access token.

It does what an app and a person do: it sends for the sign-in page, types the account's number,
reads the code where development shows it (the log of identity's notifier), types that, and redeems
what the app is given (authorization code, PKCE). Like an app it keeps the refresh token, and signs
in again only where that is no longer good. A gate signs in by its secret.

A number may stand in place of an account's name: whoever signs in with it for the first time gets
an account.
"""

import argparse
import base64
import hashlib
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

from infra import credentials
from infra.client import Answered, Client
from infra.layout import Layout
from infra.programs import ROOT
from infra.seeds.identity import samples
from services.identity.domain.secrets import Secrets
from shared.clock import Clock, SystemClock

APP = "sample-app"
CODE_SECONDS = 30.0
"""How long a code may take: the notifier looks about once a second, and may just be starting."""

_STEP_SECONDS = 0.1
_URL = re.compile(r"(https?)://127\.0\.0\.1:([0-9]+)")


class NotSignedIn(Exception):  # noqa: N818 - the message is for a person
    """There is no token to be had."""


class SampleApp:
    """The sample app on somebody's phone, and the somebody."""

    def __init__(self, layout: Layout, clock: Clock) -> None:
        self._layout = layout
        self._clock = clock
        running = _URL.search(_read(layout.runner_lock))
        if running is None:
            raise NotSignedIn(f"Nothing runs in {layout.root}. Start it: make run")
        self._client = Client(int(running[2]), tls=running[1] == "https")
        self._cookie = ""

    def token(self, name: str) -> str:
        """An access token for a sample account, or for a number. Raises NotSignedIn."""
        if name.startswith("gate-"):
            return str(self._by_secret(name)["access_token"])
        kept = self._layout.sign_ins / re.sub(r"[^A-Za-z0-9-]", "_", name)
        tokens = self._refreshed(_read(kept)) or self._signed_in(_number_of(name))
        kept.touch(mode=0o600)
        kept.write_text(str(tokens["refresh_token"]))
        return str(tokens["access_token"])

    # The app

    def _refreshed(self, refresh_token: str) -> dict[str, object] | None:
        """New tokens for an old refresh token, None where it is good for nothing any more."""
        if not refresh_token:
            return None
        asked = {"grant_type": "refresh_token", "client_id": APP, "refresh_token": refresh_token}
        answer = self._ask("POST", "/identity/token", asked)
        return json.loads(answer.body) if answer.status == 200 else None

    def _signed_in(self, number: str) -> dict[str, object]:
        app = next(row for row in samples()["clients"] if row["id"] == APP)
        [redirect] = app["redirect_uris"]
        verifier = _url_safe(self._clock.random(32))
        asked = {
            "response_type": "code",
            "client_id": APP,
            "redirect_uri": redirect,
            "scope": " ".join(app["scopes"]),
            "state": self._clock.random(16).hex(),
            "code_challenge": _url_safe(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        location = self._at_the_pages(f"/identity/authorize?{urlencode(asked)}", number)
        said = dict(parse_qsl(urlsplit(location).query))
        if said.get("state") != asked["state"] or "code" not in said:
            raise NotSignedIn(f"The app was answered: {said}")
        answer = self._ask(
            "POST",
            "/identity/token",
            {
                "grant_type": "authorization_code",
                "client_id": APP,
                "redirect_uri": redirect,
                "code": said["code"],
                "code_verifier": verifier,
            },
        )
        return _tokens(answer)

    def _by_secret(self, name: str) -> dict[str, object]:
        """What a gate does, which has its secret from whoever set it up."""
        own = credentials.load_or_make(self._layout.secrets, self._clock)
        digest, token, sealing = (
            own.key_of("identity", name).encode() for name in ("subject", "token", "sealing")
        )
        secret = Secrets(digest, token, sealing, self._clock.random).client_secret(name, 1)
        basic = base64.b64encode(f"{name}:{secret}".encode()).decode()
        answer = self._ask(
            "POST",
            "/identity/token",
            {"grant_type": "client_credentials"},
            {"Authorization": f"Basic {basic}"},
        )
        return _tokens(answer)

    # The person

    def _at_the_pages(self, address: str, number: str) -> str:
        """Where signing in leads."""
        page = self._shown(self._ask("GET", address))
        log = self._layout.logs / "identity-notices.log"
        said_before = len(_read(log))
        page = self._shown(
            self._ask("POST", "/identity/sign-in/code", {"page": page, "phone": number})
        )
        form = {"page": page, "code": self._code(log, said_before, number)}
        answer = self._ask("POST", "/identity/sign-in", form)
        if answer.status != 303:
            self._shown(answer)
        return answer.headers.get("location", "")

    def _code(self, log: Path, said_before: int, number: str) -> str:
        """The code that development's notifier shows."""
        line = re.compile(rf"to {re.escape(number)}: .*?([0-9]{{6}})")
        deadline = self._clock.monotonic() + CODE_SECONDS
        while self._clock.monotonic() < deadline:
            found = line.search(_read(log)[said_before:])
            if found is not None:
                return found[1]
            self._clock.sleep(_STEP_SECONDS)
        raise NotSignedIn(f"No code came within {CODE_SECONDS:.0f} s; see {log}")

    def _shown(self, answer: Answered) -> str:
        """What the form on a page carries. Raises NotSignedIn, with what the page says."""
        text = answer.body.decode(errors="replace")
        found = re.search(r'name="page" value="([^"]+)"', text)
        wrong = re.search(r'role="alert">([^<]*)<', text)
        if answer.status != 200 or found is None:
            raise NotSignedIn(wrong[1] if wrong else f"The page answers {answer.status}: {text}")
        set_cookie = answer.headers.get("set-cookie")
        if set_cookie is not None:
            self._cookie = set_cookie.partition(";")[0]
        return found[1]

    def _ask(
        self,
        method: str,
        path: str,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answered:
        sent = {"Accept-Language": "en", **(headers or {})}
        if self._cookie:
            sent["Cookie"] = self._cookie
        answer = self._client.ask(method, path, form, sent)
        if answer is None:
            raise NotSignedIn("The platform does not answer")
        return answer


def _number_of(name: str) -> str:
    """A sample account's number, or the number that was given."""
    known = {row["name"]: row["phone"] for row in samples()["accounts"]}
    if name in known:
        return str(known[name])
    if re.fullmatch(r"\+86[0-9]{11}", name):
        return name
    raise NotSignedIn(f"{name} is neither a number (+86…) nor one of: {', '.join(known)}")


def _tokens(answer: Answered) -> dict[str, object]:
    if answer.status != 200:
        raise NotSignedIn(f"No tokens: {answer.body.decode(errors='replace')}")
    read: dict[str, object] = json.loads(answer.body)
    return read


def _url_safe(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _read(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def main(arguments: Sequence[str]) -> int:
    """Print a token; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m infra.sign_in", description=__doc__)
    parser.add_argument("account", nargs="?", default="citizen-0001")
    parser.add_argument("--directory", type=Path, default=ROOT / ".run")
    options = parser.parse_args(arguments)
    try:
        app = SampleApp(Layout(options.directory.absolute()), SystemClock())
        print(app.token(options.account))
    except NotSignedIn as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
