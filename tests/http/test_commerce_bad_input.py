"""Bad input to commerce: each a precise problem document that names the field."""

import pytest

from services.commerce.schemas.common import LILY
from tests.support.served import BODY_BYTES_MAX, made, refused
from tests.support.shop import Shop, order_of

ORDERS = "/v1/orders"
ORDERS_ADDRESS = f"/commerce{ORDERS}"


def test_json_may_say_that_it_is_utf_8(shop: Shop) -> None:
    lily = shop.lily()
    headers = {"Content-Type": 'Application/JSON; charset="UTF-8"'}
    answer = shop.post(ORDERS, order_of(lily), by="citizen-1", headers=headers)
    assert answer.status_code == 201


def test_a_body_that_says_it_is_oversized_is_not_read(shop: Shop) -> None:
    body = _Stream(b"{}")
    answer = shop.client.open(
        ORDERS_ADDRESS,
        method="POST",
        headers={"Authorization": f"Bearer {shop.everyone()}", "Idempotency-Key": "k"},
        environ_overrides={"wsgi.input": body, "CONTENT_LENGTH": str(BODY_BYTES_MAX + 1)},
    )
    refused(answer, 413, "too-large")
    assert body.read() == b"{}"


def test_an_oversized_body_without_a_length_is_refused(shop: Shop) -> None:
    """As gunicorn hands it on: chunked, and the input ends by itself."""
    for size, status in ((BODY_BYTES_MAX + 1, 413), (100, 422)):
        body = _Stream(b"{" + b" " * (size - 2) + b"}")
        answer = shop.client.open(
            ORDERS_ADDRESS,
            method="POST",
            headers={
                "Authorization": f"Bearer {shop.everyone()}",
                "Idempotency-Key": "k",
                "Transfer-Encoding": "chunked",
                "Content-Type": "application/json",
            },
            environ_overrides={"wsgi.input": body, "wsgi.input_terminated": True},
        )
        assert answer.status_code == status, answer.text


class _Stream:
    """A request body whose length is not known."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def read(self, size: int = -1) -> bytes:
        taken = self._body if size < 0 else self._body[:size]
        self._body = self._body[len(taken) :]
        return taken


@pytest.mark.parametrize("length", ["-1", "abc", "1e3", "１２", "0x10"])
def test_a_bad_content_length_is_named(shop: Shop, length: str) -> None:
    answer = shop.client.open(
        ORDERS_ADDRESS,
        method="POST",
        data=b"{}",
        headers={"Authorization": f"Bearer {shop.everyone()}", "Idempotency-Key": "k"},
        environ_overrides={"CONTENT_LENGTH": length},
    )
    refused(answer, 400, "malformed-request", "Content-Length")


def test_a_body_that_was_cut_short_is_malformed(shop: Shop) -> None:
    answer = shop.client.open(
        ORDERS_ADDRESS,
        method="POST",
        data=b'{"lines": []}',
        content_type="application/json",
        headers={"Authorization": f"Bearer {shop.everyone()}", "Idempotency-Key": "k"},
        environ_overrides={"CONTENT_LENGTH": "100"},
    )
    refused(answer, 400, "malformed-request")


# Fields

BAD_ORDERS: dict[str, tuple[object, list[str]]] = {
    "no lines": ({}, ["lines"]),
    "empty lines": ({"lines": []}, ["lines"]),
    "lines null": ({"lines": None}, ["lines"]),
    "lines an object": ({"lines": {}}, ["lines"]),
    "too many lines": (
        {"lines": [{"product_id": f"p{n}", "quantity": 1} for n in range(21)]},
        ["lines"],
    ),
    "a line null": ({"lines": [None]}, ["lines.0"]),
    "a line a number": ({"lines": [1]}, ["lines.0"]),
    "no quantity": ({"lines": [{"product_id": "p"}]}, ["lines.0.quantity"]),
    "quantity zero": (order_of("p", 0), ["lines.0.quantity"]),
    "quantity negative": (order_of("p", -1), ["lines.0.quantity"]),
    "quantity too large": (order_of("p", 1000), ["lines.0.quantity"]),
    "quantity huge": (order_of("p", 2**63 - 1), ["lines.0.quantity"]),
    "quantity text": ({"lines": [{"product_id": "p", "quantity": "1"}]}, ["lines.0.quantity"]),
    "quantity fraction": ({"lines": [{"product_id": "p", "quantity": 1.5}]}, ["lines.0.quantity"]),
    "quantity true": ({"lines": [{"product_id": "p", "quantity": True}]}, ["lines.0.quantity"]),
    "id a number": ({"lines": [{"product_id": 1, "quantity": 1}]}, ["lines.0.product_id"]),
    "id empty": (order_of(""), ["lines.0.product_id"]),
    "id with a NUL": (order_of("a\0b"), ["lines.0.product_id"]),
    "id with a slash": (order_of("a/b"), ["lines.0.product_id"]),
    "id with a line break behind": (order_of("a\n"), ["lines.0.product_id"]),
    "id too long": (order_of("p" * 101), ["lines.0.product_id"]),
    "two bad lines": (
        {"lines": [{"product_id": "p", "quantity": 0}, {"product_id": "q", "quantity": -3}]},
        ["lines.0.quantity", "lines.1.quantity"],
    ),
    "unknown in a line": (
        {"lines": [{"product_id": "p", "quantity": 1, "price": 1}]},
        ["lines.0.price"],
    ),
    "too many of one in two lines": (
        {"lines": [{"product_id": "p", "quantity": 999}, {"product_id": "p", "quantity": 1}]},
        ["lines.1.quantity"],
    ),
    "another currency": (
        {**order_of("p"), "expected_total": {"amount": 1, "currency": "USD"}},
        ["expected_total.currency"],
    ),
    "a negative total": (
        {**order_of("p"), "expected_total": {"amount": -1, "currency": "CNY"}},
        ["expected_total.amount"],
    ),
    "a total beyond 53 bits": (
        {**order_of("p"), "expected_total": {"amount": 2**53, "currency": "CNY"}},
        ["expected_total.amount"],
    ),
}


@pytest.mark.parametrize(("body", "fields"), BAD_ORDERS.values(), ids=BAD_ORDERS.keys())
def test_a_bad_order_names_its_fields(shop: Shop, body: object, fields: list[str]) -> None:
    answer = shop.post(ORDERS, body, by="citizen-1")
    refused(answer, 422, "invalid-request", *fields)


def test_a_number_beyond_64_bits_is_no_integer(shop: Shop) -> None:
    raw = b'{"lines": [{"product_id": "p", "quantity": 1' + b"0" * 400 + b"}]}"
    answer = shop.post(ORDERS, raw=raw, by="citizen-1")
    assert answer.status_code in {400, 422}, answer.text
    raw = b'{"lines": [{"product_id": "p", "quantity": 100000000000000000000000}]}'
    answer = shop.post(ORDERS, raw=raw, by="citizen-1")
    refused(answer, 422, "invalid-request", "lines.0.quantity")


BAD_PRODUCTS: dict[str, tuple[str, object]] = {
    "name empty": ("name_zh", ""),
    "name blank": ("name_zh", "  \u3000"),
    "name with a NUL": ("name_zh", "百\0合"),
    "name with an escape": ("name_zh", "百\x1b合"),
    "name turned round": ("name_zh", "百\u202e合"),
    "name too long": ("name_zh", "百" * 61),
    "name null": ("name_zh", None),
    "name a list": ("name_zh", ["百合"]),
    "another category": ("category", "weapons"),
    "category a list": ("category", ["agricultural"]),
    "division not of Gansu": ("division", "110101"),
    "division a prefecture": ("division", "620100"),
    "division that is none": ("division", "629999"),
    "division a number": ("division", 620103),
    "price a number": ("price", 4900),
}


@pytest.mark.parametrize(("field", "value"), BAD_PRODUCTS.values(), ids=BAD_PRODUCTS.keys())
def test_a_bad_product_names_its_field(shop: Shop, field: str, value: object) -> None:
    path = f"/v1/stores/{shop.open_store()}/products"
    answer = shop.post(path, {**LILY, field: value}, by="merchant-1")
    refused(answer, 422, "invalid-request", field)


def test_a_number_without_a_fraction_is_an_integer_however_it_is_written(shop: Shop) -> None:
    lily = shop.lily()
    for number in (b"2", b"2.0", b"0.2e1"):
        raw = b'{"lines": [{"product_id": "%s", "quantity": %s}]}' % (lily.encode(), number)
        order = made(shop.post(ORDERS, raw=raw, by="citizen-1", key="once"))
        assert order["parts"][0]["lines"][0]["quantity"] == 2
    assert shop.stock(lily)["reserved"] == 2


@pytest.mark.parametrize("amount", [0, -1, 10**9 + 1, "4900", 49.5, 1e300, True])
def test_a_bad_price_names_its_field(shop: Shop, amount: object) -> None:
    path = f"/v1/stores/{shop.open_store()}/products"
    body = {**LILY, "price": {"amount": amount, "currency": "CNY"}}
    answer = shop.post(path, body, by="merchant-1")
    refused(answer, 422, "invalid-request", "price.amount")


def test_many_unknown_fields_do_not_make_a_long_answer(shop: Shop) -> None:
    body = {f"surplus{number}": 1 for number in range(1000)} | {"x" * 5000: 1}
    answer = shop.post(ORDERS, body, by="citizen-1")
    assert answer.status_code == 422
    assert len(answer.data) < 10_000


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("q=", "q"),
        ("q=%20", "q"),
        ("q=%00", "q"),
        ("q=" + "x" * 61, "q"),
        ("division=1", "division"),
        ("division=629999", "division"),
        ("category=x", "category"),
        ("price_min=-1", "price_min"),
        ("price_max=x", "price_max"),
        ("price_min=5600&price_max=5599", "price_max"),
        ("sort=cheapest", "sort"),
    ],
)
def test_a_bad_search_names_its_field(shop: Shop, query: str, field: str) -> None:
    refused(shop.get(f"/v1/products?{query}"), 422, "invalid-request", field)


@pytest.mark.parametrize("key", ["with space", "x" * 129, "tab\there", "caf\u00e9"])
def test_an_odd_idempotency_key_is_named(shop: Shop, key: str) -> None:
    answer = shop.post(ORDERS, order_of("p"), by="citizen-1", key=key)
    refused(answer, 422, "invalid-request", "Idempotency-Key")


@pytest.mark.parametrize("tag", ["1", "*", '"1", "2"', "W/1", '"', '"a"b"', '"\u00e9"'])
def test_an_odd_if_match_is_named(shop: Shop, tag: str) -> None:
    answer = shop.ask(
        "PATCH",
        f"/v1/products/{shop.lily()}",
        {"for_sale": False},
        by="merchant-1",
        headers={"If-Match": tag},
    )
    refused(answer, 422, "invalid-request", "If-Match")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/v1",
        "/v1/",
        "/v1/orders/",
        "//v1/orders",
        "/v1//orders",
        "/v2/orders",
        "/V1/orders",
        "/v1/orders/a/b",
        "/v1/orders/%00",
        "/v1/orders/%FF",
        "/v1/orders/..%2f..",
        "/v1/orders/" + "x" * 101,
        "/v1/orders/百合",
        "/health",
        "/docs/",
        "/docs/../page.js",
    ],
)
def test_an_unknown_address_is_not_found(shop: Shop, path: str) -> None:
    refused(shop.get(path, by="citizen-1"), 404, "not-found")


@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_an_unsupported_method_is_told_which_there_are(shop: Shop, method: str) -> None:
    answer = shop.ask(method, ORDERS, by="citizen-1")
    refused(answer, 405, "method-not-allowed")
    assert answer.headers["Allow"] == "GET, HEAD, POST"


def test_a_failure_of_the_program_shows_nothing_of_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a secret in a message")

    monkeypatch.setattr(shop.database, "read", fail)
    answer = shop.get(ORDERS, by="citizen-1")
    refused(answer, 500, "internal")
    assert "secret" not in answer.text
    assert b"RuntimeError" in shop.log[-2]
    assert b"secret" not in b"".join(shop.log)
