"""Whether an installation works, as its users see it: `python -m infra.smoke https://gansu.example`.

It only reads, unless it is told who may write. With `--write` somebody signs in by a number, whose
code is asked for, orders a product, books a ticket and a doctor's hour, repeats each to see that
nothing is done twice, reads what was done, and takes it back. In production that somebody is one
of the operator's own people, and what is taken one of the operator's own choice:

    python -m infra.smoke https://gansu.example --write --number +86138… --app gansu-app
        --redirect https://app.gansu.example/signed-in --product … --ticket … --department …

In a development install with samples `--samples` stands for all of these. Exits with 0 where
everything holds, with 1 and what does not otherwise. Only the standard library is needed.
"""

import argparse
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from infra.app import App, NotSignedIn, SignIn, code_in
from infra.client import Answered, Client, ClientAt
from infra.services import ISSUER, SERVICES
from shared import terminal
from shared.clock import Clock, SystemClock
from shared.times import day_of

READY_SECONDS = 60.0
"""How long services may take to get ready, and a code to come."""

DAYS = 14
SCOPES = (
    *("openid", "orders:read", "orders:write", "tickets:read", "tickets:write"),
    *("appointments:read", "appointments:write"),
)
SAMPLES = {
    "number": "+8613900000010",
    "app": "sample-app",
    "redirect": "cn.gansu.sample:/signed-in",
    "product": "sample-lanzhou-lily",
    "ticket": "sample-mogao-b",
    "department": "sample-lzu-first-internal",
}

_LISTS = {
    "commerce": "/commerce/v1/products",
    "tourism": "/tourism/v1/attractions",
    "health": "/health/v1/hospitals",
    "identity": "/identity/v1/apps",
}
_STEP_SECONDS = 0.5


class Broken(Exception):  # noqa: N818 - a verdict
    """Something does not hold; the message says what."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What is taken, by whom; None is not tried."""

    number: str
    app: App
    product: str | None
    ticket: str | None
    department: str | None


class Codes(Protocol):
    """Where the code comes from that is sent to a number."""

    def before(self) -> None:
        """A code is about to be sent."""

    def code(self, number: str) -> str:
        """The code, once it has come."""


@dataclass(slots=True)
class Smoke:
    """One look at an installation. Everything raises Broken."""

    client: Client
    clock: Clock
    say: Callable[[str], None]
    token: str | None = None

    # What anybody may read

    def reads(self) -> None:
        """The gateway, every service, the keys of tokens, a public list of each, a refusal."""
        self.expect("GET", "/gateway/health/live", 200)
        for service in SERVICES:
            self._await_ready(service)
        keys = self.expect("GET", f"/{ISSUER}/.well-known/jwks.json", 200).json()["keys"]
        if not keys:
            raise Broken("Identity publishes no keys")
        for service, path in _LISTS.items():
            self.expect("GET", path, 200)
            self.say(f"{service} is ready and lists {path}")
        refused = self.expect("GET", "/commerce/v1/orders", 401)
        if refused.headers.get("content-type") != "application/problem+json":
            raise Broken("A refusal is no problem document")

    def _await_ready(self, service: str) -> None:
        deadline = self.clock.monotonic() + READY_SECONDS
        path = f"/{service}/health/ready"
        while self.clock.monotonic() < deadline:
            answer = self.client.ask("GET", path)
            if answer is not None and answer.status == 200:
                return
            self.clock.sleep(_STEP_SECONDS)
        self.expect("GET", path, 200)

    # What one person may write

    def writes(self, choice: Choice, codes: Codes) -> None:
        """Sign in, take, repeat, read, take back."""
        try:
            signed_in = SignIn(choice.app, self.client, self.clock, codes.code, codes.before)
            self.token = str(signed_in.tokens(choice.number)["access_token"])
        except NotSignedIn as failure:
            raise Broken(f"Nobody could sign in: {failure}") from failure
        self.say(f"{choice.number} is signed in")
        if choice.product is not None:
            lines = [{"product_id": choice.product, "quantity": 1}]
            self.taken_and_back("/commerce/v1/orders", {"lines": lines})
        if choice.ticket is not None:
            self.taken_and_back("/tourism/v1/bookings", self._visit(choice.ticket))
        if choice.department is not None:
            self.taken_and_back("/health/v1/appointments", self._hour(choice.department))

    def taken_and_back(self, path: str, wanted: dict[str, Any]) -> None:
        """Make what is wanted, make it again under the same key, read it, cancel it."""
        key = {"Idempotency-Key": self.clock.random(16).hex()}
        made = self.expect("POST", path, 201, wanted, key).json()
        again = self.expect("POST", path, 201, wanted, key).json()
        if again["id"] != made["id"]:
            raise Broken(f"POST {path} was done twice for one key")
        own = f"{path}/{made['id']}"
        if self.expect("GET", own, 200).json()["id"] != made["id"]:
            raise Broken(f"GET {own} answers with another")
        back = {"Idempotency-Key": self.clock.random(16).hex()}
        self.expect("POST", f"{own}/cancellation", 201, headers=back)
        state = self.expect("GET", own, 200).json()["state"]
        if state != "cancelled":
            raise Broken(f"{own} was cancelled and is {state}")
        self.say(f"{own} was made once, read, and cancelled")

    def _visit(self, product: str) -> dict[str, Any]:
        """A place in the first session of the next days that has one."""
        for day in self._days():
            path = f"/tourism/v1/products/{product}/sessions?day={day}"
            for session in self.expect("GET", path, 200).json()["items"]:
                if session["state"] == "open" and session["available"] > 0:
                    # Nobody's: one document has one ticket a day, and this one is made up anew.
                    number = f"E{int.from_bytes(self.clock.random(4)) % 10**8:08d}"
                    visitor = {"document": {"kind": "passport", "number": number}}
                    return {"session_id": session["id"], "visitors": [visitor]}
        raise Broken(f"No session of {product} has a place in the next {DAYS} days")

    def _hour(self, department: str) -> dict[str, Any]:
        """A place in the first doctor's hour of the next days that has one."""
        for day in self._days():
            path = f"/health/v1/departments/{department}/sessions?date={day}"
            for session in self.expect("GET", path, 200).json()["items"]:
                if session["state"] != "open" or session["free"] == 0:
                    continue
                whole = self.expect("GET", f"/health/v1/sessions/{session['id']}", 200).json()
                for slot in whole["slots"]:
                    if slot["free"] > 0:
                        return {"session_id": session["id"], "starts_at": slot["starts_at"]}
        raise Broken(f"No doctor of {department} has a free hour in the next {DAYS} days")

    def _days(self) -> Iterator[str]:
        # From the day after tomorrow: what is nearer cannot everywhere be taken back.
        first = day_of(self.clock.now_ms()) + timedelta(days=2)
        for ahead in range(DAYS - 2):
            yield (first + timedelta(days=ahead)).isoformat()

    def expect(
        self,
        method: str,
        path: str,
        status: int,
        document: object = None,
        headers: dict[str, str] | None = None,
    ) -> Answered:
        """The answer, which has that status."""
        sent = {"Accept-Language": "en", **(headers or {})}
        if self.token is not None:
            sent["Authorization"] = f"Bearer {self.token}"
        answer = self.client.ask(method, path, headers=sent, document=document)
        if answer is None:
            raise Broken(f"{method} {path} is not answered: {self.client.trouble}")
        if answer.status != status:
            said = answer.body.decode(errors="replace")[:500]
            raise Broken(f"{method} {path} answers {answer.status} in place of {status}: {said}")
        return answer


class Asked:
    """Codes, from whoever has the phone."""

    def before(self) -> None:
        """Nothing has to be known before."""

    def code(self, number: str) -> str:
        try:
            return input(f"The code that was sent to {number}: ").strip()
        except EOFError as error:
            raise NotSignedIn(
                f"Nobody is there to type the code that was sent to {number}: use a terminal, or in"
                " development --code-command"
            ) from error


class Shown:
    """Codes, from what a command shows of the log of identity's notifier: in development."""

    def __init__(self, command: str, clock: Clock) -> None:
        self._command = shlex.split(command)
        self._clock = clock
        self._shown_before = 0

    def before(self) -> None:
        self._shown_before = len(self._shown())

    def code(self, number: str) -> str:
        deadline = self._clock.monotonic() + READY_SECONDS
        while self._clock.monotonic() < deadline:
            found = code_in(self._shown()[self._shown_before :], number)
            if found is not None:
                return found
            self._clock.sleep(_STEP_SECONDS)
        raise NotSignedIn(f"No code for {number} in what {self._command} shows")

    def _shown(self) -> str:
        return subprocess.run(self._command, capture_output=True, text=True, check=True).stdout


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.smoke",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("url", help="https://host[:port]")
    parser.add_argument("--ca", type=Path, help="whose certificates are believed; PEM")
    parser.add_argument("--write", action="store_true", help="sign in, and take and give back")
    parser.add_argument(
        "--samples", action="store_true", help="the samples of a development install"
    )
    for name, meaning in {
        "number": "the mobile number that signs in",
        "app": "the app that it signs in to",
        "redirect": "one of the app's redirect addresses",
        "product": "what is ordered",
        "ticket": "the ticket product that is booked",
        "department": "where a doctor's hour is booked",
        "code-command": "a command that shows the log in which development shows codes",
    }.items():
        parser.add_argument(f"--{name}", help=meaning)
    options = parser.parse_args(arguments)
    if options.samples:
        for name, value in SAMPLES.items():
            if getattr(options, name) is None:
                setattr(options, name, value)
    if options.write and not (options.number and options.app and options.redirect):
        parser.error("--write needs --number, --app and --redirect, or --samples")
    if options.number and not re.fullmatch(r"\+86[0-9]{11}", options.number):
        parser.error("--number is +86 and eleven digits")
    return options


def main(arguments: Sequence[str], clock: Clock) -> int:
    """Look; the exit status."""
    options = parsed(arguments)
    try:
        smoke = Smoke(ClientAt(options.url, options.ca), clock, print)
        smoke.reads()
        if options.write:
            app = App(options.app, options.redirect, SCOPES)
            choice = Choice(
                options.number, app, options.product, options.ticket, options.department
            )
            command = options.code_command
            smoke.writes(choice, Shown(command, clock) if command else Asked())
    except (Broken, OSError, ValueError, subprocess.CalledProcessError) as failure:
        print(f"Broken: {failure}", file=sys.stderr)
        return 1
    print("Everything holds")
    return 0


if __name__ == "__main__":
    terminal.prepare()
    sys.exit(main(sys.argv[1:], SystemClock()))
