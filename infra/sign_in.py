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
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from infra import credentials
from infra.app import App, NotSignedIn, SignIn, code_in, tokens
from infra.client import Client
from infra.layout import Layout
from infra.programs import ROOT
from infra.seeds.identity import samples
from services.identity.domain.secrets import Secrets
from shared import terminal
from shared.clock import Clock, SystemClock

APP = "sample-app"
CODE_SECONDS = 30.0
"""How long a code may take: the notifier looks about once a second, and may just be starting."""

_STEP_SECONDS = 0.1
_URL = re.compile(r"(https?)://127\.0\.0\.1:([0-9]+)")


class SampleApp:
    """The sample app on somebody's phone, and the somebody."""

    def __init__(self, layout: Layout, clock: Clock) -> None:
        self._layout = layout
        self._clock = clock
        running = _URL.search(_read(layout.runner_lock))
        if running is None:
            raise NotSignedIn(f"Nothing runs in {layout.root}. Start it: make run")
        client = Client(int(running[2]), tls=running[1] == "https")
        self._log = layout.logs / "identity-notices.log"
        self._said_before = 0
        self._sign_in = SignIn(sample_app(), client, clock, self._code, self._look)

    def token(self, name: str) -> str:
        """An access token for a sample account, or for a number. Raises NotSignedIn."""
        if name.startswith("gate-"):
            return str(self._by_secret(name)["access_token"])
        kept = self._layout.sign_ins / re.sub(r"[^A-Za-z0-9-]", "_", name)
        given = self._refreshed(_read(kept)) or self._sign_in.tokens(_number_of(name))
        kept.touch(mode=0o600)
        kept.write_text(str(given["refresh_token"]))
        return str(given["access_token"])

    def _refreshed(self, refresh_token: str) -> dict[str, object] | None:
        """New tokens for an old refresh token, None where it is good for nothing any more."""
        if not refresh_token:
            return None
        asked = {"grant_type": "refresh_token", "client_id": APP, "refresh_token": refresh_token}
        answer = self._sign_in.ask("POST", "/identity/token", asked)
        return json.loads(answer.body) if answer.status == 200 else None

    def _by_secret(self, name: str) -> dict[str, object]:
        """What a gate does, which has its secret from whoever set it up."""
        own = credentials.load_or_make(self._layout.secrets, self._clock)
        digest, token, sealing = (
            own.key_of("identity", name).encode() for name in ("subject", "token", "sealing")
        )
        secret = Secrets(digest, token, sealing, self._clock.random).client_secret(name, 1)
        basic = base64.b64encode(f"{name}:{secret}".encode()).decode()
        answer = self._sign_in.ask(
            "POST",
            "/identity/token",
            {"grant_type": "client_credentials"},
            {"Authorization": f"Basic {basic}"},
        )
        return tokens(answer)

    def _look(self) -> None:
        self._said_before = len(_read(self._log))

    def _code(self, number: str) -> str:
        """The code that development's notifier shows."""
        deadline = self._clock.monotonic() + CODE_SECONDS
        while self._clock.monotonic() < deadline:
            found = code_in(_read(self._log)[self._said_before :], number)
            if found is not None:
                return found
            self._clock.sleep(_STEP_SECONDS)
        raise NotSignedIn(f"No code came within {CODE_SECONDS:.0f} s; see {self._log}")


def sample_app() -> App:
    """The app that the samples come with."""
    row = next(row for row in samples()["clients"] if row["id"] == APP)
    [redirect] = row["redirect_uris"]
    return App(APP, redirect, row["scopes"])


def _number_of(name: str) -> str:
    """A sample account's number, or the number that was given."""
    known = {row["name"]: row["phone"] for row in samples()["accounts"]}
    if name in known:
        return str(known[name])
    if re.fullmatch(r"\+86[0-9]{11}", name):
        return name
    raise NotSignedIn(f"{name} is neither a number (+86…) nor one of: {', '.join(known)}")


def _read(path: Path) -> str:
    return path.read_text("utf-8", errors="replace") if path.exists() else ""


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
    terminal.prepare()
    sys.exit(main(sys.argv[1:]))
