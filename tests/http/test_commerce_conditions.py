"""Conditional requests, caching, freshness and request ids: the headers of commerce."""

import re

import orjson
import pytest

from services.commerce.routes.parts import SHOP_WINDOW
from tests.support.served import json_of, made, refused
from tests.support.shop import Shop, order_of

ETAG = re.compile(r'"([0-9]+-)?[0-9a-f]{16}"')


# Reading again


@pytest.mark.parametrize(
    "path",
    [
        "/v1/divisions",
        "/v1/divisions/620103",
        "/v1/pavilions",
        "/v1/pavilions/gansu/products",
        "/v1/stores",
        "/v1/products?q=百合",
        "/v1/orders",
        "/v1/my/stores",
        "/health/live",
        "/openapi.json",
        "/docs",
        "/docs/page.js",
        "/docs/page.css",
        "/docs/icon.svg",
    ],
)
def test_what_has_not_changed_is_not_sent_again(shop: Shop, path: str) -> None:
    token = shop.issuer.token("someone")
    first = shop.get(path, token=token)
    etag = first.headers["ETag"]
    assert ETAG.fullmatch(etag)
    for tag in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = shop.get(path, token=token, headers={"If-None-Match": tag})
        assert again.status_code == 304
        assert again.data == b""
        assert again.headers["ETag"] == etag
        assert again.headers["Cache-Control"] == first.headers["Cache-Control"]
        assert "Content-Length" not in again.headers
    for tag in ('"other"', etag.strip('"')[:-1], "nonsense"):
        again = shop.get(path, token=token, headers={"If-None-Match": tag})
        assert again.status_code == 200, tag


def test_an_etag_tells_language_stock_and_text_apart(shop: Shop) -> None:
    lily = shop.lily(5)
    path = f"/v1/products/{lily}"

    def etag(language: str = "zh") -> str:
        shop.clock.pass_monotonic(2)
        return shop.get(path, headers={"Accept-Language": language}).headers["ETag"]

    first = etag()
    assert etag() == first
    assert etag("en") != first
    shop.order(lily)
    ordered = etag()
    assert ordered != first
    assert ordered.partition("-")[0] == first.partition("-")[0]
    shop.ask("PATCH", path, {"name_zh": "鲜百合"}, by="merchant-1", headers={"If-Match": first})
    assert etag().partition("-")[0] != first.partition("-")[0]


@pytest.mark.parametrize("shape", ['"{0}"', 'W/"{0}"', '"{0}-0123456789abcdef"'])
def test_if_match_means_the_revision_whatever_was_added_on_the_way(shop: Shop, shape: str) -> None:
    lily = shop.lily()
    path = f"/v1/products/{lily}"
    revision = re.findall("[0-9]+", shop.get(path).headers["ETag"])[0]
    change = {"name_zh": "鲜百合"}
    headers = {"If-Match": shape.format(revision)}
    answer = shop.ask("PATCH", path, change, by="merchant-1", headers=headers)
    assert answer.status_code == 200, answer.text
    stale = shop.ask("PATCH", path, change, by="merchant-1", headers=headers)
    refused(stale, 412, "stale")
    fresh = {"If-Match": answer.headers["ETag"]}
    assert shop.ask("PATCH", path, change, by="merchant-1", headers=fresh).status_code == 200


@pytest.mark.parametrize("tag", ['"other"', '"-1"', '"0"', '"99999999999999999999"', '"1-x"', '""'])
def test_an_etag_that_never_was_is_stale(shop: Shop, tag: str) -> None:
    path = f"/v1/products/{shop.lily()}"
    headers = {"If-Match": tag}
    answer = shop.ask("PATCH", path, {"for_sale": False}, by="merchant-1", headers=headers)
    refused(answer, 412, "stale")
    assert json_of(shop.get(path))["for_sale"] is True


# Caching


def test_public_reads_may_be_kept_and_served_stale(shop: Shop) -> None:
    lily = shop.lily()
    for path in ("/v1/products", f"/v1/products/{lily}", "/v1/pavilions/gansu/stores"):
        answer = shop.get(path)
        assert answer.headers["Cache-Control"] == SHOP_WINDOW.cache_control
        assert answer.headers["Cache-Control"].startswith("public, max-age=2, stale-while-")
        assert answer.headers["Vary"] == "Accept-Language, Accept-Encoding"
        assert "Set-Cookie" not in answer.headers
    assert "max-age=3600" in shop.get("/v1/divisions").headers["Cache-Control"]
    assert shop.get("/health/ready").headers["Cache-Control"] == "no-store"


# Freshness


def test_an_answer_says_which_entry_it_rests_on(shop: Shop) -> None:
    answer = shop.post("/v1/stores", {"name_zh": "店", "division": "620103"}, by="merchant-1")
    seq = int(answer.headers["Commit-Seq"])
    path = f"/v1/stores/{made(answer)['id']}"
    assert int(shop.get(path, headers={"Commit-Seq": str(seq)}).headers["Commit-Seq"]) >= seq


def _probes(shop: Shop) -> int:
    return sum(1 for call in shop.store.calls if call.operation == "get")


def test_who_names_the_own_write_reads_it_without_asking_the_store(shop: Shop) -> None:
    answer = shop.post("/v1/orders", order_of(shop.lily()), by="citizen-1")
    path = f"/v1/orders/{made(answer)['id']}"
    shop.clock.pass_monotonic(60)
    before = _probes(shop)
    named = shop.get(path, by="citizen-1", headers={"Commit-Seq": answer.headers["Commit-Seq"]})
    assert named.status_code == 200
    assert _probes(shop) == before
    assert shop.get(path, by="citizen-1").status_code == 200
    assert _probes(shop) > before


def test_an_entry_that_is_not_there_yet_is_no_reason_to_wait_or_to_fail(shop: Shop) -> None:
    for path in ("/v1/orders", "/v1/products"):
        answer = shop.get(path, by="citizen-1", headers={"Commit-Seq": "999999999"})
        assert answer.status_code == 200


# Request ids, logs, HEAD


def test_the_gateways_request_id_reaches_answer_and_log(shop: Shop) -> None:
    given = "0d9f0c4f1a5b4e0e8a63b5a0d6c1c7aa"
    answer = shop.get("/v1/products", headers={"X-Request-Id": given})
    assert answer.headers["X-Request-Id"] == given
    line = orjson.loads(shop.log[-1])
    assert line["request_id"] == given
    assert line["route"] == "GET /commerce/v1/products"
    assert line["status"] == 200
    assert line["service"] == "commerce"
    assert line["duration_ms"] >= 0
    assert line["time"].endswith("Z")
    assert (
        refused(shop.get("/v9", headers={"X-Request-Id": given}), 404, "not-found")["request_id"]
        == given
    )


@pytest.mark.parametrize("given", ["", "short", "x" * 65, "with space in it", 'quote"quote"'])
def test_an_odd_request_id_is_replaced(shop: Shop, given: str) -> None:
    answer = shop.get("/v1/products", headers={"X-Request-Id": given})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-Id"])


def test_head_is_get_without_a_body(shop: Shop) -> None:
    get, head = shop.get("/v1/products"), shop.ask("HEAD", "/v1/products")
    assert head.status_code == 200
    assert head.data == b""
    for name in ("ETag", "Content-Length", "Cache-Control", "Content-Type"):
        assert head.headers[name] == get.headers[name]


@pytest.mark.parametrize(
    ("header", "tag"),
    [
        (None, "zh-CN"),
        ("", "zh-CN"),
        ("zh", "zh-CN"),
        ("en", "en"),
        ("en-US,en;q=0.9,zh;q=0.8", "en"),
        ("zh-TW,en;q=0.9", "zh-CN"),
        ("fr", "zh-CN"),
        ("fr, en;q=0.1", "en"),
        ("*", "zh-CN"),
        ("en;q=0", "zh-CN"),
        ("en;q=x", "zh-CN"),
        ("EN", "en"),
        ("en," * 200, "zh-CN"),
    ],
)
def test_the_language_that_the_caller_prefers(shop: Shop, header: str | None, tag: str) -> None:
    headers = {} if header is None else {"Accept-Language": header}
    for path in ("/v1/pavilions", "/v1/pavilions/none", "/docs"):
        assert shop.get(path, headers=headers).headers["Content-Language"] == tag


# Cursors


def test_a_cursor_continues_its_own_list_only(shop: Shop) -> None:
    lily = shop.lily(50)
    store = json_of(shop.get(f"/v1/products/{lily}"))["store_id"]
    other = shop.open_store()
    for _ in range(3):
        shop.order(lily, by="citizen-20")
        shop.order(lily, by="citizen-21")

    def cursor(path: str, by: str) -> str:
        return str(json_of(shop.get(path, by=by))["after"])

    own = cursor("/v1/orders?limit=1", "citizen-20")
    assert shop.get(f"/v1/orders?limit=2&after={own}", by="citizen-20").status_code == 200
    placed = cursor(f"/v1/stores/{store}/orders?limit=1", "merchant-1")
    for path, by in (
        (f"/v1/orders?after={own}", "citizen-21"),
        (f"/v1/orders?after={placed}", "citizen-20"),
        (f"/v1/stores/{store}/orders?state=fulfilled&after={placed}", "merchant-1"),
        (f"/v1/stores/{other}/orders?after={placed}", "merchant-1"),
        (f"/v1/my/stores?after={placed}", "merchant-1"),
        (f"/v1/orders?after={own[:-1]}", "citizen-20"),
        (f"/v1/orders?after={own[:-2]}{'A' if own[-2] != 'A' else 'B'}{own[-1]}", "citizen-20"),
        (f"/v1/orders?after={'A' if own[0] != 'A' else 'B'}{own[1:]}", "citizen-20"),
    ):
        refused(shop.get(path, by=by), 422, "invalid-request", "after")
