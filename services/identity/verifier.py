"""Who verifies names: the authority over HTTP, or a stand-in for development that says so.

The authority's side of the contract (the province's gateway to the register):

    POST ‹url›/holders                        Authorization: Bearer ‹key›
    {"name": …, "number": …, "phone": …}      200 {"match": true | false}

    POST ‹url›/persons
    {"name": …, "number": …}

    POST ‹url›/guardianships
    {"guardian": {"name": …, "number": …}, "child": {"name": …, "number": …}}

`phone` is a mobile number in E.164: a match says that all three are of one person, as those who
give out numbers know it. It has an address of its own, so that an authority which cannot tell is
not taken for one that says yes; `persons` is asked of children, who have none.

Any other answer, none within the limits of `shared.storage.http1` (2 s to connect, 10 s in all), or
one that is not just that, is no answer: nothing is concluded from it. It is never asked twice.
"""

from datetime import date
from urllib.parse import urlsplit

import orjson

from services.identity.domain.names import VERIFIER_DOWN, Person
from shared import waiting
from shared.clock import Clock
from shared.errors import Refused
from shared.storage.http1 import Http, NoAnswer

RETRY_SECONDS = 30


class HttpVerifier:
    """The authority at `url`."""

    source = "authority"

    def __init__(self, url: str, key: str, clock: Clock) -> None:
        parts = urlsplit(url)
        self._path = parts.path.rstrip("/")
        self._http = Http(f"{parts.scheme}://{parts.netloc}", clock, kept=4)
        self._headers = {
            "host": self._http.host,
            "content-type": "application/json",
            "authorization": f"Bearer {key}",
        }

    def belongs(self, person: Person) -> bool:
        """Raises Refused(VERIFIER_DOWN)."""
        if person.phone is None:
            return self._asked("/persons", _said(person))
        return self._asked("/holders", {**_said(person), "phone": person.phone})

    def guards(self, guardian: Person, child: Person) -> bool:
        """Raises Refused(VERIFIER_DOWN)."""
        return self._asked("/guardianships", {"guardian": _said(guardian), "child": _said(child)})

    def close(self) -> None:
        """Close the kept connections."""
        self._http.close()

    def _asked(self, path: str, question: dict[str, object]) -> bool:
        body = orjson.dumps(question)
        try:
            answer = waiting.apart(
                lambda: self._http.exchange("POST", self._path + path, self._headers, body)
            )
        except NoAnswer as error:
            raise _down() from error
        if answer.status != 200 or not answer.whole:
            raise _down()
        try:
            said = orjson.loads(answer.body)
        except ValueError as error:
            raise _down() from error
        match = said.get("match") if isinstance(said, dict) else None
        if not isinstance(match, bool):
            raise _down()
        return match


class DevelopmentVerifier:
    """Believes everybody whose number's serial is not 000 and whose mobile number does not end in
    0000, and takes whoever is fourteen years older for a guardian: refusals can be tried too.
    Raises RuntimeError outside development.
    """

    source = "development"

    def __init__(self, environment: str) -> None:
        if environment != "development":
            raise RuntimeError("names are verified by nobody here: set GANSU_VERIFIER_URL")

    def belongs(self, person: Person) -> bool:
        return person.number[14:17] != "000" and not (person.phone or "").endswith("0000")

    def guards(self, guardian: Person, child: Person) -> bool:
        return guardian.born < date(child.born.year - 14, child.born.month, 1)


def _said(person: Person) -> dict[str, object]:
    return {"name": person.name, "number": person.number}


def _down() -> Refused:
    return Refused(VERIFIER_DOWN, retry_after_seconds=RETRY_SECONDS)
