"""Stores, products and search of commerce, as merchants make them and as everybody sees them."""

import pytest

from services.commerce.schemas.common import LILY
from services.commerce.schemas.goods import ProductSchema, StoreSchema
from tests.support.served import Json, json_of, made, refused
from tests.support.shop import Shop

COOP = {"name_zh": "七里河百合合作社", "name_en": "Qilihe Lily Co-op", "division": "620103"}


def names(page: Json) -> list[str]:
    return [item["name_en"] for item in page["items"]]


def pages(shop: Shop, path: str, **options: str) -> list[Json]:
    """All items of a list, two at a time."""
    items: list[Json] = []
    after = ""
    for _ in range(50):
        joint = "&" if "?" in path else "?"
        page = json_of(shop.get(f"{path}{joint}limit=2{after}", **options))
        assert len(page["items"]) <= 2
        items += page["items"]
        if page["after"] is None:
            return items
        assert len(page["items"]) == 2
        after = f"&after={page['after']}"
    raise AssertionError("the list does not end")


# Stores


def test_a_merchant_opens_a_store_that_everyone_sees(fresh_shop: Shop) -> None:
    answer = fresh_shop.post("/v1/stores", COOP, by="merchant-1")
    store = made(answer)
    assert StoreSchema().validate(store) == {}
    assert store["name"] == "七里河百合合作社"
    assert store["opened_at"] == "2026-01-01T00:00:00.000Z"
    assert store["sample"] is False
    assert answer.headers["Location"] == f"/commerce/v1/stores/{store['id']}"
    seen = fresh_shop.client.get(answer.headers["Location"], headers={"Accept-Language": "en"})
    assert json_of(seen) == {**store, "name": "Qilihe Lily Co-op"}
    assert json_of(fresh_shop.get("/v1/stores"))["items"] == [store]
    assert json_of(fresh_shop.get("/v1/my/stores", by="merchant-1"))["items"] == [store]
    assert json_of(fresh_shop.get("/v1/my/stores", by="merchant-2"))["items"] == []


def test_a_store_without_an_english_name_is_called_by_its_chinese_one(shop: Shop) -> None:
    body = {"name_zh": "文县纹党店", "division": "621222"}
    store = made(shop.post("/v1/stores", body, by="merchant-1", headers={"Accept-Language": "en"}))
    assert store["name"] == "文县纹党店"
    assert store["name_en"] == ""


def test_an_operator_opens_no_store_but_keeps_any(shop: Shop) -> None:
    refused(shop.post("/v1/stores", COOP, by="operator-1"), 403, "forbidden")
    store = shop.open_store()
    product = shop.add(store, by="operator-1", on_hand=3)
    assert shop.stock(product, by="operator-1")["on_hand"] == 3


# Products


def test_a_merchant_adds_a_product_that_everyone_sees(shop: Shop) -> None:
    store = shop.open_store()
    answer = shop.post(f"/v1/stores/{store}/products", LILY, by="merchant-1")
    product = made(answer)
    assert ProductSchema().validate(product) == {}
    assert {name: product[name] for name in LILY} == LILY
    assert product["store_id"] == store
    assert product["for_sale"] is True
    assert product["available"] == 0
    seen = json_of(shop.client.get(answer.headers["Location"], headers={"Accept-Language": "en"}))
    assert seen["name"] == "Lanzhou lily bulb"
    assert seen["description"] == LILY["description_en"]
    assert seen["name_zh"] == "兰州百合"


def test_a_product_without_english_words_speaks_chinese(shop: Shop) -> None:
    body = {name: LILY[name] for name in ("name_zh", "category", "division", "price")}
    path = f"/v1/stores/{shop.open_store()}/products"
    product = made(shop.post(path, body, by="merchant-1", headers={"Accept-Language": "en"}))
    assert product["name"] == "兰州百合"
    assert product["description"] == ""


def test_another_merchants_store_and_goods_do_not_exist(shop: Shop) -> None:
    product = shop.lily()
    store = json_of(shop.get(f"/v1/products/{product}"))["store_id"]
    order = shop.order(product)["id"]
    fulfilment = f"/v1/stores/{store}/orders/{order}/fulfilment"
    for answer in (
        shop.post(f"/v1/stores/{store}/products", LILY, by="merchant-2"),
        shop.get(f"/v1/my/stores/{store}/products", by="merchant-2"),
        shop.get(f"/v1/products/{product}/stock", by="merchant-2"),
        shop.post(f"/v1/products/{product}/stock/adjustments", {"delta": 1}, by="merchant-2"),
        shop.ask(
            "PUT",
            f"/v1/products/{product}/stock",
            {"on_hand": 1},
            by="merchant-2",
            headers={"If-Match": '"1"'},
        ),
        shop.ask(
            "PATCH",
            f"/v1/products/{product}",
            {"for_sale": False},
            by="merchant-2",
            headers={"If-Match": '"1"'},
        ),
        shop.get(f"/v1/stores/{store}/orders", by="merchant-2"),
        shop.get(f"/v1/stores/{store}/orders/{order}", by="merchant-2"),
        shop.post(fulfilment, by="merchant-2"),
    ):
        refused(answer, 404, "not-found")
    assert shop.stock(product) == {"received": 10, "on_hand": 9, "reserved": 1, "sold": 0}


def test_a_price_change_is_what_the_next_order_pays(shop: Shop) -> None:
    product = shop.lily()
    path = f"/v1/products/{product}"
    seen = shop.get(path)
    change = {"price": {"amount": 5200, "currency": "CNY"}, "name_en": "Lily"}
    changed = shop.ask(
        "PATCH", path, change, by="merchant-1", headers={"If-Match": seen.headers["ETag"]}
    )
    assert changed.status_code == 200
    assert json_of(changed) == {**json_of(seen), **change}
    assert shop.order(product, 2)["total"]["amount"] == 10_400


def test_a_withdrawn_product_is_seen_by_its_id_and_by_its_merchant_only(shop: Shop) -> None:
    product = shop.lily()
    path = f"/v1/products/{product}"
    store = json_of(shop.get(path))["store_id"]
    etag = shop.get(path).headers["ETag"]
    shop.ask("PATCH", path, {"for_sale": False}, by="merchant-1", headers={"If-Match": etag})
    shop.clock.pass_monotonic(2)
    assert json_of(shop.get(path))["for_sale"] is False
    assert json_of(shop.get(f"/v1/stores/{store}/products"))["items"] == []
    own = json_of(shop.get(f"/v1/my/stores/{store}/products", by="merchant-1"))
    assert [item["id"] for item in own["items"]] == [product]


# Search


@pytest.fixture
def market(fresh_shop: Shop) -> Shop:
    """Five of Gansu's specialties in three stores, listed one second after another."""
    lanzhou = fresh_shop.open_store(division="620103")
    longnan = fresh_shop.open_store(by="merchant-2", division="621202", name_zh="武都特产")
    goods = [
        (lanzhou, "兰州百合", "Lanzhou lily bulb", "620103", "agricultural", 4900),
        (lanzhou, "兰州牛肉面", "Lanzhou beef noodles", "620102", "food_and_drink", 8400),
        (longnan, "武都花椒", "Wudu Sichuan pepper", "621202", "agricultural", 5800),
        (longnan, "文县纹党", "Wenxian Codonopsis", "621222", "herbal_medicine", 9200),
        (longnan, "成县核桃", "Chengxian walnut", "621221", "agricultural", 5600),
    ]
    for store, zh, en, division, category, fen in goods:
        fresh_shop.clock.pass_wall(seconds=1)
        fresh_shop.add(
            store,
            by="merchant-1" if store == lanzhou else "merchant-2",
            name_zh=zh,
            name_en=en,
            division=division,
            category=category,
            price={"amount": fen, "currency": "CNY"},
            description_zh="",
            description_en="",
        )
    return fresh_shop


LILY_, NOODLES, PEPPER, DANGSHEN, WALNUT = (
    "Lanzhou lily bulb",
    "Lanzhou beef noodles",
    "Wudu Sichuan pepper",
    "Wenxian Codonopsis",
    "Chengxian walnut",
)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [WALNUT, DANGSHEN, PEPPER, NOODLES, LILY_]),
        ("sort=newest", [WALNUT, DANGSHEN, PEPPER, NOODLES, LILY_]),
        ("sort=relevance", [WALNUT, DANGSHEN, PEPPER, NOODLES, LILY_]),
        ("sort=price", [LILY_, WALNUT, PEPPER, NOODLES, DANGSHEN]),
        ("sort=-price", [DANGSHEN, NOODLES, PEPPER, WALNUT, LILY_]),
        ("q=百合", [LILY_]),
        ("q=花椒", [PEPPER]),
        ("q=walnut", [WALNUT]),
        ("q=WALNUT", [WALNUT]),
        ("q=兰州&sort=price", [LILY_, NOODLES]),
        ("q=兰州&sort=newest", [NOODLES, LILY_]),
        ("q=nothing", []),
        ("q=%22*%28", []),
        (f"q={'㌖' * 60}", []),
        ("division=620000&sort=price", [LILY_, WALNUT, PEPPER, NOODLES, DANGSHEN]),
        ("division=621200&sort=price", [WALNUT, PEPPER, DANGSHEN]),
        ("division=621202", [PEPPER]),
        ("division=620200", []),
        ("category=agricultural&sort=price", [LILY_, WALNUT, PEPPER]),
        ("price_min=5600&price_max=8400&sort=price", [WALNUT, PEPPER, NOODLES]),
        ("price_min=9201", []),
        ("price_min=5600&price_max=5600", [WALNUT]),
        ("q=兰州&division=620103&category=agricultural&price_max=5000", [LILY_]),
    ],
)
def test_search_filters_and_sorts(market: Shop, query: str, found: list[str]) -> None:
    page = json_of(market.get(f"/v1/products?{query}"))
    assert names(page) == found
    assert page["after"] is None


def test_relevance_puts_the_better_match_first(market: Shop) -> None:
    store = json_of(market.get("/v1/my/stores", by="merchant-1"))["items"][0]["id"]
    market.add(
        store, name_en="Gift box", name_zh="礼盒", description_zh="内有百合、核桃、花椒与党参等"
    )
    market.clock.pass_monotonic(2)
    assert names(json_of(market.get("/v1/products?q=百合"))) == [LILY_, "Gift box"]


@pytest.mark.parametrize("sort", ["newest", "price", "-price"])
def test_a_search_is_the_same_in_pages(market: Shop, sort: str) -> None:
    whole = json_of(market.get(f"/v1/products?sort={sort}"))["items"]
    assert pages(market, f"/v1/products?sort={sort}") == whole


def test_a_search_by_relevance_is_the_same_in_pages(market: Shop) -> None:
    """Also where several match equally well."""
    store = json_of(market.get("/v1/my/stores", by="merchant-1"))["items"][0]["id"]
    for _ in range(3):
        market.add(store, name_zh="兰州礼盒")
    whole = json_of(market.get("/v1/products?q=兰州"))["items"]
    assert len(whole) == 5
    assert pages(market, "/v1/products?q=兰州&sort=relevance") == whole


def test_a_pavilion_shows_what_lies_in_its_counties(market: Shop) -> None:
    gansu = json_of(market.get("/v1/pavilions/gansu/products?sort=price"))
    assert names(gansu) == [LILY_, WALNUT, PEPPER, NOODLES, DANGSHEN]
    longnan = json_of(market.get("/v1/pavilions/longnan/products?sort=price"))
    assert names(longnan) == [WALNUT, PEPPER, DANGSHEN]
    assert len(json_of(market.get("/v1/pavilions/gansu/stores"))["items"]) == 2
    stores = json_of(market.get("/v1/pavilions/longnan/stores"))["items"]
    assert [store["name_zh"] for store in stores] == ["武都特产"]


@pytest.mark.parametrize(
    ("division", "found"),
    [
        ("621222", [DANGSHEN]),
        ("621200", [WALNUT, DANGSHEN, PEPPER]),
        ("620000", [WALNUT, DANGSHEN, PEPPER]),
        ("620103", []),
        ("620100", []),
    ],
)
def test_a_division_narrows_a_pavilion_and_does_not_leave_it(
    market: Shop, division: str, found: list[str]
) -> None:
    page = json_of(market.get(f"/v1/pavilions/longnan/products?division={division}"))
    assert names(page) == found


def test_a_stores_own_products(market: Shop) -> None:
    store = json_of(market.get("/v1/pavilions/longnan/stores"))["items"][0]["id"]
    page = json_of(market.get(f"/v1/stores/{store}/products?sort=price&division=621200"))
    assert names(page) == [WALNUT, PEPPER, DANGSHEN]
    empty = json_of(market.get(f"/v1/stores/{market.open_store()}/products"))
    assert empty == {"items": [], "after": None}
    refused(market.get("/v1/stores/nowhere/products"), 404, "not-found")


# Reference data


def test_pavilions(shop: Shop) -> None:
    found = json_of(shop.get("/v1/pavilions", headers={"Accept-Language": "en"}))["items"]
    assert [(item["id"], item["name"]) for item in found] == [
        ("gansu", "Gansu Pavilion"),
        ("longnan", "Longnan Pavilion"),
    ]
    assert json_of(shop.get("/v1/pavilions/longnan"))["name"] == "陇南馆"
    refused(shop.get("/v1/pavilions/beijing"), 404, "not-found")
    refused(shop.get("/v1/pavilions/beijing/products"), 404, "not-found")


def test_divisions_from_the_province_down_to_villages(shop: Shop) -> None:
    assert len(json_of(shop.get("/v1/divisions"))["items"]) == 14
    longnan = pages(shop, "/v1/divisions?parent=621200")
    assert [item["code"] for item in longnan] == sorted(item["code"] for item in longnan)
    assert len(longnan) == 9
    assert longnan[0]["name"] == "武都区"
    county = json_of(shop.get("/v1/divisions/620103", headers={"Accept-Language": "en"}))
    assert county == {
        "code": "620103",
        "level": "county",
        "name": "Qilihe",
        "name_zh": "七里河区",
        "name_en": "Qilihe",
        "parent": "620100",
    }
    township = json_of(shop.get("/v1/divisions?parent=620103"))["items"][0]
    village = json_of(
        shop.get(f"/v1/divisions?parent={township['code']}", headers={"Accept-Language": "en"})
    )["items"][0]
    assert village["level"] == "village"
    assert village["name"] == village["name_zh"]
    refused(shop.get("/v1/divisions/110000"), 404, "not-found")
