"""Requests that schemathesis makes of each service's own OpenAPI document.

No answer is a 5xx but the documented 503, and none is anything that the document does not allow;
what the document calls valid is not refused as invalid, and what it calls invalid is not taken.
Half of the ids lead to something real, or every request would end as not found.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi import checks
from schemathesis.specs.openapi.schemas import OpenApiSchema

from services.commerce import pictures
from shared.clock import SystemClock
from shared.condition import Condition
from shared.errors import KEY_REUSED
from shared.web import common, openapi
from shared.web.problems import type_of
from tests.support.houses import COMMERCE, HEALTH, HOUSES, IDENTITY, TOURISM, House, Open
from tests.support.served import Served
from tests.support.shop import photo

Case = schemathesis.Case[Any]

# A picture, half of one, and noise: all of it is content of the type that it says it is.
CONTENT = st.sampled_from([photo(), photo(kind="PNG"), photo()[:200]]) | st.binary(min_size=1)
for media_type in pictures.TAKEN:
    schemathesis.openapi.media_type(media_type, CONTENT)

# `make fuzz` brings its own number.
EXAMPLES = 15 if settings().derandomize else settings().max_examples


class Furnished:
    """A service with one of everything, belonging to whoever sends the generated requests."""

    def __init__(self, house: House, served: Served) -> None:
        self.served = served
        self.real = house.furnish(served)
        self._tagged = house.tagged.format(**self.real)

    @property
    def headers(self) -> dict[str, str]:
        # Called in-process, nothing unpacks what is compressed.
        return {
            "Authorization": f"Bearer {self.served.everyone()}",
            "Accept-Encoding": "identity",
        }

    def make_real(self, case: Case) -> None:
        """Let every other id lead to something."""
        for name, value in (case.path_parameters or {}).items():
            if _is_id(value) and len(str(value)) % 2:
                case.path_parameters[name] = self.real[name]
        self._make_real_in(case.body)
        headers: Any = case.headers or {}
        tag = headers.get("If-Match", "")
        if len(tag) % 2 and re.fullmatch('"[!#-~]{1,100}"', tag):
            seen = self.served.get(self._tagged, by="everyone")
            headers["If-Match"] = seen.headers["ETag"]

    def _make_real_in(self, body: Any) -> None:
        members = body if isinstance(body, dict) else {}
        for holder in (members, *_lines(body)[:1]):
            for name in self.real.keys() & holder.keys():
                if _is_id(holder[name]):
                    holder[name] = self.real[name]


Furnish = Callable[[House], Furnished]


def _is_id(value: object) -> bool:
    """What is no id is to be refused as such, so it stays."""
    return isinstance(value, str) and bool(re.fullmatch(openapi.IDENTIFIER_PATTERN, value))


def _lines(body: Any) -> list[dict[str, Any]]:
    """The lines of an order that have an id."""
    lines = body.get("lines") if isinstance(body, dict) else None
    if not isinstance(lines, list):
        return []
    return [line for line in lines if isinstance(line, dict) and _is_id(line.get("product_id"))]


class Door:
    """The application under test, which is there only while tests run."""

    application: Any = None

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.application(environ, start_response)


DOORS = {house.name: Door() for house in HOUSES}


def schema_of(house: House) -> OpenApiSchema:
    """The service's own document, as schemathesis reads it."""
    routes = [*house.router.routes, *common.routes(house.router, Condition(SystemClock()))]
    document = openapi.document(house.router, routes, "en")
    schema = schemathesis.openapi.from_dict(document, config=SchemathesisConfig())
    schema.app = DOORS[house.name]
    return schema


@pytest.fixture(scope="module")
def furnished(opened: Open) -> Callable[[House], Furnished]:
    """Every service, furnished when it is first asked for."""

    @cache
    def each(house: House) -> Furnished:
        served = opened(house)
        DOORS[house.name].application = served.app
        return Furnished(house, served)

    return each


def check(case: Case, furnished: Furnished) -> None:
    furnished.make_real(case)
    answer = case.call(headers=furnished.headers)
    case.validate_response(answer, excluded_checks=list(beside_the_point(case, answer)))


at_length = settings(suppress_health_check=list(HealthCheck), max_examples=EXAMPLES)


@pytest.mark.fuzz
@schema_of(COMMERCE).parametrize()
@at_length
def test_generated_requests_to_commerce(case: Case, furnished: Furnish) -> None:
    check(case, furnished(COMMERCE))


@pytest.mark.fuzz
@schema_of(TOURISM).parametrize()
@at_length
def test_generated_requests_to_tourism(case: Case, furnished: Furnish) -> None:
    check(case, furnished(TOURISM))


@pytest.mark.fuzz
@schema_of(HEALTH).parametrize()
@at_length
def test_generated_requests_to_health(case: Case, furnished: Furnish) -> None:
    check(case, furnished(HEALTH))


@pytest.mark.fuzz
@schema_of(IDENTITY).parametrize()
@at_length
def test_generated_requests_to_identity(case: Case, furnished: Furnish) -> None:
    check(case, furnished(IDENTITY))


RULED = {
    "after",
    "division",
    "price_max",
    "day",
    "first_day",
    "last_day",
    "windows",
    *("first", "last", "weekdays", "end", "slot_minutes", "places", "release_time", "start"),
    *("date", "starts_at"),
    "document.number",
    *("roles", "scopes", "redirect_uris"),
    *("name", "number", "phone", "days", "role"),
    *(f"redirect_uris.{place}" for place in range(10)),
    *(f"visitors.{place}.document{end}" for place in range(5) for end in ("", ".number")),
}
"""Fields that can have the right form and still be none, or break a rule between fields."""


def beside_the_point(case: Case, answer: Any) -> Iterator[Any]:
    """Checks that know less than the service does."""
    # The generated requests all bear the same good token; bad ones are in test_every_access.
    yield checks.ignored_auth
    # HTTP says to pass over headers that nobody knows (RFC 9110, section 5.1).
    if "x-schemathesis-unknown-property" in (case.headers or {}):
        yield checks.negative_data_rejection
    # If-Match has statuses of its own where it is missing or none of the present (RFC 6585, 9110).
    if answer.status_code == 428:
        yield checks.missing_required_header
    if answer.status_code == 412:
        yield checks.positive_data_acceptance
    if answer.status_code == 422 and answer.json()["type"] == type_of(pictures.NOT_A_PICTURE):
        yield checks.positive_data_acceptance
    # A cursor or a division's code can have the right form and still be none, and a key be taken.
    if answer.status_code == 422:
        problem = answer.json()
        named = {error["field"] for error in problem.get("errors", [])}
        taken = problem["type"] == type_of(KEY_REUSED)
        if taken or (named and named <= RULED) or _adds_up(case, named):
            yield checks.positive_data_acceptance


def _adds_up(case: Case, named: set[str]) -> bool:
    """Whether an order is refused for what several lines of one product come to."""
    products = [line["product_id"] for line in _lines(case.body)]
    return len(set(products)) < len(products) and all(
        re.fullmatch(r"lines\.[0-9]+\.quantity", field) for field in named
    )
