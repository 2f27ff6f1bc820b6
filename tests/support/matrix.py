"""Callers of every kind, and the table of what each is answered (tests/http/authorisation.csv).

A row is a route. Its cells are what one kind of caller is answered: a status; `own` for a list that
is answered and in which nothing of another's stands; `-` where a route has no such caller.
"""

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.clock import SystemClock
from shared.condition import Condition
from shared.web import common
from shared.web.routes import Route
from tests.support.houses import HOUSES, House
from tests.support.served import Served
from tests.support.tokens import ALL_SCOPES, EVERYONE

TABLE = Path(__file__).parents[1] / "http" / "authorisation.csv"
DECLARED = ("service", "route", "scope", "roles")
"""The columns that say what a route is; they have to agree with its declaration."""

PEOPLE = {
    "citizen": "citizen",
    "merchant": "merchant",
    "scenic_staff": "scenic",
    "gate": "gate",
    "hospital_staff": "hospital",
    "clinician": "clinician",
    "operator": "operator",
    "station_agent": "station",
    "security": "security",
    "auditor": "auditor",
    "partner": "partner",
}
"""What the accounts of a role are called: `‹name›-1` owns what a stage has, `‹name›-2` does not."""


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """An address of a service: a declared route, or a fixed page, which is for everybody."""

    house: House
    name: str
    route: Route[Any] | None

    @property
    def scope(self) -> str:
        return (self.route.scope if self.route else None) or "public"

    @property
    def roles(self) -> list[str]:
        return sorted(self.route.roles) if self.route else []

    @property
    def declared(self) -> dict[str, str]:
        """What the first columns of its row have to say."""
        cells = (self.house.name, self.name, self.scope, " ".join(self.roles))
        return dict(zip(DECLARED, cells, strict=True))


def places() -> list[Place]:
    """Every address of every service, also what all services have."""
    return [place for house in HOUSES for place in _places(house)]


def _places(house: House) -> Iterator[Place]:
    everywhere = common.routes(house.router, Condition(SystemClock()))
    for route in [*house.router.routes, *everywhere]:
        yield Place(house, f"{route.method} {route.address}", route)
    for page in common.pages(house.router, everywhere):
        yield Place(house, f"GET {page.path}", None)


def rows() -> list[dict[str, str]]:
    """The table as it is checked in, without the spaces that line it up."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        lines = csv.reader(file)
        header = [name.strip() for name in next(lines)]
        return [dict(zip(header, (cell.strip() for cell in line), strict=True)) for line in lines]


# Who asks


def owner(place: Place, role: str | None = None) -> str:
    """Whose things a stage puts where the route can reach them, in one of its roles."""
    chosen = role or next((each for each in PEOPLE if each in place.roles), "citizen")
    return f"{PEOPLE[chosen]}-1"


def stranger(role: str) -> str:
    """Somebody of a role to whom nothing on the stage belongs."""
    return f"{PEOPLE[role]}-2"


def _no_token(_served: Served, _place: Place) -> None:
    return None


def _expired(served: Served, place: Place) -> str:
    past = served.clock.now_ms() // 1000 - 3600
    return served.issuer.token(owner(place), exp=past, nbf=past - 60, roles=EVERYONE)


def _wrong_audience(served: Served, place: Place) -> str:
    elsewhere = [house.name for house in HOUSES if house is not place.house]
    return served.issuer.token(owner(place), aud=elsewhere, roles=EVERYONE)


def _wrong_scope(served: Served, place: Place) -> str:
    return served.issuer.token(owner(place), scope=_scopes_without(place), roles=EVERYONE)


def _wrong_role(served: Served, place: Place) -> str:
    return served.issuer.token(owner(place), roles=sorted(set(EVERYONE) - set(place.roles)))


def _guardian(served: Served, place: Place) -> str:
    # It claims every role, more than an issuer would give: on others' routes that must not help.
    return served.acting(owner(place), agent="citizen-7", kind="guardian", roles=EVERYONE)


def _agent(served: Served, place: Place) -> str:
    return served.acting(owner(place), roles=EVERYONE)


def _agent_outside(served: Served, place: Place) -> str:
    return served.acting(owner(place), scope=_scopes_without(place), roles=EVERYONE)


def _scopes_without(place: Place) -> str:
    return " ".join(sorted(set(ALL_SCOPES.split()) - {place.scope}))


Token = Callable[[Served, Place], str | None]

CALLERS: Mapping[str, Token] = {
    "no token": _no_token,
    "expired": _expired,
    "wrong audience": _wrong_audience,
    "wrong scope": _wrong_scope,
    "wrong role": _wrong_role,
    "agent outside scope": _agent_outside,
    "guardian": _guardian,
    "agent": _agent,
}
"""Each kind of caller but two, which are of a role: with another's things, and with their own."""

ANOTHERS, RIGHT = "another's", "right role"
COLUMNS = (*DECLARED, *CALLERS, ANOTHERS, RIGHT)
