"""Requests that schemathesis makes of commerce's own OpenAPI document.

No answer is a 5xx but the documented 503, and none is anything that the document does not allow;
what the document calls valid is not refused as invalid, and what it calls invalid is not taken.
Half of the ids lead to something real, or every request would end as not found.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi import checks

from services.commerce.routes import router
from shared.errors import KEY_REUSED
from shared.web import common, openapi
from shared.web.problems import type_of
from tests.support.served import json_of
from tests.support.shop import Shop

Case = schemathesis.Case[Any]

# `make fuzz` brings its own number.
EXAMPLES = 15 if settings().derandomize else settings().max_examples


class Generated:
    """A shop with one of everything, belonging to whoever sends the generated requests."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        product = shop.lily(on_hand=10**6, by="everyone")
        self.real = {
            "product_id": product,
            "store_id": json_of(shop.get(f"/v1/products/{product}"))["store_id"],
            "order_id": shop.order(product, by="everyone")["id"],
            "pavilion_id": "longnan",
            "code": "620103",
            "slug": "sold-out",
        }

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.shop.token('everyone')}"}

    def make_real(self, case: Case) -> None:
        """Let every other id lead to something."""
        for name, value in (case.path_parameters or {}).items():
            if _is_id(value) and len(str(value)) % 2:
                case.path_parameters[name] = self.real[name]
        for line in _lines(case.body)[:1]:
            line["product_id"] = self.real["product_id"]
        headers: Any = case.headers or {}
        if len(headers.get("If-Match", "")) % 2:
            product = self.shop.get(f"/v1/products/{self.real['product_id']}")
            headers["If-Match"] = product.headers["ETag"]


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


DOOR = Door()
ROUTES = [*router.routes, *common.routes(router, list)]
SCHEMA = schemathesis.openapi.from_dict(
    openapi.document(router, ROUTES, "en"), config=SchemathesisConfig()
)
SCHEMA.app = DOOR


@pytest.fixture(scope="module")
def generated(shop: Shop) -> Generated:
    DOOR.application = shop.app
    return Generated(shop)


@pytest.mark.fuzz
@SCHEMA.parametrize()
@settings(suppress_health_check=list(HealthCheck), max_examples=EXAMPLES)
def test_generated_requests(case: Case, generated: Generated) -> None:
    generated.make_real(case)
    answer = case.call(headers=generated.headers)
    case.validate_response(answer, excluded_checks=list(beside_the_point(case, answer)))


def beside_the_point(case: Case, answer: Any) -> Iterator[Any]:
    """Checks that know less than the service does."""
    # The generated requests all bear the same good token; bad ones are in test_commerce_access.
    yield checks.ignored_auth
    # HTTP says to pass over headers that nobody knows (RFC 9110, section 5.1).
    if "x-schemathesis-unknown-property" in (case.headers or {}):
        yield checks.negative_data_rejection
    # If-Match has statuses of its own where it is missing or none of the present (RFC 6585, 9110).
    if answer.status_code == 428:
        yield checks.missing_required_header
    if answer.status_code == 412:
        yield checks.positive_data_acceptance
    # A cursor or a division's code can have the right form and still be none, and a key be taken.
    if answer.status_code == 422:
        problem = answer.json()
        named = {error["field"] for error in problem.get("errors", [])}
        taken = problem["type"] == type_of(KEY_REUSED)
        if taken or (named and named <= {"after", "division"}) or _adds_up(case, named):
            yield checks.positive_data_acceptance


def _adds_up(case: Case, named: set[str]) -> bool:
    """Whether an order is refused for what several lines of one product come to."""
    products = [line["product_id"] for line in _lines(case.body)]
    return len(set(products)) < len(products) and all(
        re.fullmatch(r"lines\.[0-9]+\.quantity", field) for field in named
    )
