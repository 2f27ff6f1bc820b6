"""Every service about itself: OpenAPI, the page to try it, problem types, health."""

import re
from pathlib import Path

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from shared.condition import Finding
from shared.errors import COMMON
from shared.schemas import PageQuery
from shared.storage.database import JournalDatabase
from shared.storage.memory import refuse
from shared.storage.objects import Uncertain
from tests.support.houses import EVERY_ROUTE, HOUSES, Declared, House, Open
from tests.support.served import Json, Said, Served, json_of, refused
from tests.support.waiting import wait_until

DOCS = Path(__file__).parents[2] / "shared" / "web" / "docs"
SVG = "http://www.w3.org/2000/svg"
"""A name, at which nobody looks."""


@pytest.fixture(params=HOUSES, ids=lambda house: house.name)
def house(request: pytest.FixtureRequest) -> House:
    found: House = request.param
    return found


@pytest.fixture
def shop(house: House, opened: Open) -> Served:
    """The service; the tests are commerce's own, grown up."""
    return opened(house)


@pytest.fixture(params=["zh-CN", "en"])
def document(request: pytest.FixtureRequest, shop: Served) -> Json:
    return json_of(shop.get("/openapi.json", headers={"Accept-Language": request.param}))


def operations(document: Json) -> dict[str, Json]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_the_document_is_valid_openapi_3_1(document: Json) -> None:
    assert document["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(document).validate()


def test_the_document_shows_every_address_and_no_other(
    house: House, shop: Served, document: Json
) -> None:
    pages = ("openapi.json", "docs", "docs/page.js", "docs/page.css", "docs/icon.svg")
    fixed = {f"/{shop.name}/{page}" for page in pages} | house.beside
    served = {name for name in shop.app.handlers if name.partition(" ")[2] not in fixed}
    assert set(operations(document)) == served


@pytest.mark.parametrize("each", EVERY_ROUTE, ids=lambda each: each.name)
def test_an_operation_names_every_problem_it_may_answer(opened: Open, each: Declared) -> None:
    route = each.route
    english = {"Accept-Language": "en"}
    document = json_of(opened(each.house).get("/openapi.json", headers=english))
    operation = operations(document)[each.name]
    named = {
        (int(status), slug)
        for status, answer in operation["responses"].items()
        if int(status) >= 400
        for slug in answer["content"]["application/problem+json"]["examples"]
    }
    assert named == {(problem.status, problem.slug) for problem in route.problems}
    assert operation["security"] == ([] if route.scope is None else [{"bearer": [route.scope]}])
    others = "guardians" in operation.get("description", "")
    assert others == route.for_others
    required = {parameter["name"] for parameter in operation["parameters"] if parameter["required"]}
    expected = set(route.parameters)
    expected |= {"POST": {"Idempotency-Key"}, "PATCH": {"If-Match"}, "PUT": {"If-Match"}}.get(
        route.method, set()
    )
    assert required >= expected
    fields = {} if route.query is None else route.query().fields
    assert required - expected == {name for name, field in fields.items() if field.required}


def test_refusals_that_pass_or_ask_for_a_token_name_the_header_that_says_how(
    document: Json,
) -> None:
    told = {"401": "WWW-Authenticate", "403": "WWW-Authenticate"}
    told |= {"429": "Retry-After", "503": "Retry-After"}
    for name, operation in operations(document).items():
        for status, answer in operation["responses"].items():
            further = answer["headers"].keys() & set(told.values())
            assert further == ({told[status]} if status in told else set()), name


def test_words_are_in_the_callers_language(house: House, document: Json) -> None:
    summaries = [route.summary for route in house.router.routes]
    text = str(document)
    for summary in summaries:
        assert (summary.en in text) != (summary.zh in text), summary


def test_examples_are_what_they_are_examples_of(house: House) -> None:
    examples = [schema for schema in house.schema_classes() if schema.EXAMPLE is not None]
    taken = {route.body for route in house.router.routes if isinstance(route.body, type)}
    assert taken <= set(examples)
    for schema in examples:
        assert schema().validate(schema.EXAMPLE or {}) == {}, schema


def test_every_schema_refuses_what_it_does_not_declare(house: House) -> None:
    for schema in house.schema_classes():
        if schema is not PageQuery:
            assert "surplus" in schema().validate({"surplus": 1}), schema


# The page


def test_the_page_loads_nothing_from_elsewhere(shop: Served) -> None:
    page = shop.get("/docs")
    assert page.content_type == "text/html; charset=utf-8"
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    loaded = re.findall(r"""(?:src|href)=["']([^"']+)["']""", page.text)
    assert set(loaded) == {"docs/icon.svg", "docs/page.css", "docs/page.js", "openapi.json"}
    for name in loaded:
        assert shop.get(f"/{name}").status_code == 200
    assert "<script>" not in page.text
    assert " on" not in re.sub(r"<[^a-z][^>]*>", "", "".join(re.findall(r"<[^>]+>", page.text)))
    for path in DOCS.iterdir():
        text = path.read_text().replace(SVG, "")
        assert not re.search(r"https?://|//[a-z]+\.|@import|innerHTML|eval\(", text), path


# Problem types


def test_every_problem_type_is_explained_at_its_own_address(house: House, shop: Served) -> None:
    problems = {
        *COMMON,
        *(problem for route in house.router.routes for problem in route.problems),
    }
    assert len(problems) > len(COMMON)
    for problem in problems:
        answer = shop.client.get(f"/problems/{problem.slug}", headers={"Accept-Language": "en"})
        assert json_of(answer) == {
            "type": f"/problems/{problem.slug}",
            "status": problem.status,
            "title": problem.en,
            "title_zh": problem.zh,
            "title_en": problem.en,
        }
    refused(shop.client.get("/problems/nothing"), 404, "not-found")


def test_slugs_are_of_one_problem_each() -> None:
    problems = {*COMMON, *(problem for each in EVERY_ROUTE for problem in each.route.problems)}
    assert len({problem.slug for problem in problems}) == len(problems)
    assert all(re.fullmatch(r"[a-z-]+", problem.slug) for problem in problems)


# Health


def test_a_service_that_can_serve_says_so(tmp_path: Path, house: House) -> None:
    with house.open(tmp_path, database=JournalDatabase) as shop:
        assert json_of(shop.get("/health/live")) == {"status": "live"}
        # A new search index takes a moment.
        wait_until(lambda: json_of(shop.get("/health/ready"))["status"] == "ready", "it is ready")
        told = json_of(shop.get("/health/ready"))
        assert {check["name"]: check["state"] for check in told["checks"]} == dict.fromkeys(
            ("store", "journal", "replica", "search", "clock", "disk", "writes")
            if shop.database._catalogue.searchable
            else ("store", "journal", "replica", "clock", "disk", "writes"),
            "ok",
        )
        assert all(check["says"] and check["since"] for check in told["checks"])


def test_a_service_that_cannot_serve_says_why_and_lives(tmp_path: Path, house: House) -> None:
    said = Said(
        Finding("journal", "failing", "the journal has a gap at 7", "restore it"),
        Finding("store", "ok", "the store answered just now"),
    )
    with house.open(tmp_path, part=said) as shop:
        answer = shop.get("/health/ready")
        problem = refused(answer, 503, "not-ready")
        assert problem["troubles"] == ["the journal has a gap at 7"]
        assert [check["state"] for check in problem["checks"]] == ["failing", "ok"]
        assert problem["checks"][0]["advice"] == "restore it"
        assert answer.headers["Retry-After"] == "5"
        assert shop.get("/health/live").status_code == 200


def test_whoever_asks_through_the_gateway_hears_no_sentences(tmp_path: Path, house: House) -> None:
    forwarded = {"X-Forwarded-For": "203.0.113.7"}
    said = Said(Finding("disk", "degraded", "/var/lib/gansu: 3 MiB are free", "make room"))
    with house.open(tmp_path, part=said) as shop:
        [check] = json_of(shop.get("/health/ready", headers=forwarded))["checks"]
        assert (check["name"], check["state"], sorted(check)) == (
            *("disk", "degraded"),
            ["name", "since", "state"],
        )
        said.found = (Finding("journal", "failing", "the journal has a gap at 7", "restore it"),)
        problem = refused(shop.get("/health/ready", headers=forwarded), 503, "not-ready")
        assert problem["troubles"] == ["journal"]
        assert [sorted(each) for each in problem["checks"]] == [["name", "since", "state"]]


def test_what_is_degraded_serves_on_and_says_so(tmp_path: Path, house: House) -> None:
    said = Said(Finding("disk", "degraded", "3 MiB are free", "make room"))
    with house.open(tmp_path, part=said) as shop:
        told = json_of(shop.get("/health/ready"))
        assert told["status"] == "degraded"
        [check] = told["checks"]
        assert (check["name"], check["state"], check["says"]) == (
            "disk",
            "degraded",
            "3 MiB are free",
        )


def test_a_process_that_stands_still_asks_to_be_started_anew(tmp_path: Path, house: House) -> None:
    said = Said(stuck=("the committing thread has ended",))
    with house.open(tmp_path, part=said) as shop:
        problem = refused(shop.get("/health/live"), 503, "not-live")
        assert problem["troubles"] == ["the committing thread has ended"]


def test_a_store_that_is_away_leaves_what_was_known_marked_by_its_age(
    tmp_path: Path, house: House
) -> None:
    with house.open(tmp_path) as shop:
        before = shop.get(house.listing)
        assert before.status_code == 200
        assert "Age" not in before.headers
        for operation in ("get", "list", "create"):
            shop.store.inject(operation, refuse(Uncertain("timeout")), times=100)
        shop.clock.pass_monotonic(10)
        known = shop.get(house.listing)
        assert known.status_code == 200
        assert known.data == before.data
        assert 10 <= int(known.headers["Age"]) <= 11
        again = shop.get(house.listing, headers={"If-None-Match": before.headers["ETag"]})
        assert again.status_code == 200, "the gateway would serve what it kept as new"
        # What is old already must not be kept, to be served as new.
        assert known.headers["Cache-Control"] == "no-cache"
        told = json_of(shop.get("/health/ready"))
        assert told["status"] == "degraded"
        assert {c["name"] for c in told["checks"] if c["state"] == "degraded"} >= {"store"}
        assert shop.get("/health/live").status_code == 200
        shop.clock.pass_monotonic(24 * 3600)
        refused(shop.get(house.listing), 503, "busy")
        shop.clock.pass_monotonic(10)
