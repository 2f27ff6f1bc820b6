"""What reaches the journal and the log: no account ids, no tokens, nothing that a person typed."""

from shared.auth.subjects import service_subject
from tests.http.test_commerce_orders import cancel, fulfil
from tests.support.served import made
from tests.support.shop import Shop, order_of
from tests.support.tokens import SUBJECT_KEY

ACCOUNTS = ("citizen-13811112222", "merchant-62010319800101123X", "operator-secret")


def use_every_write(shop: Shop) -> None:
    citizen, merchant, operator = ACCOUNTS
    lily = shop.lily(20, by=merchant)
    path = f"/v1/products/{lily}"
    etag = shop.get(path).headers["ETag"]
    change = {"name_zh": "鲜百合"}
    for by in (merchant, operator):
        shop.ask("PATCH", path, change, by=by, headers={"If-Match": etag})
        stock = shop.get(f"{path}/stock", by=by).headers["ETag"]
        shop.ask("PUT", f"{path}/stock", {"on_hand": 30}, by=by, headers={"If-Match": stock})
    order = made(shop.post("/v1/orders", order_of(lily), by=citizen))
    fulfil(shop, order, by=operator)
    cancel(shop, made(shop.post("/v1/orders", order_of(lily), by=citizen)), by=citizen)


def test_no_route_stores_an_account_id(fresh_shop: Shop) -> None:
    use_every_write(fresh_shop)
    stored = fresh_shop.stored()
    citizen, merchant, _ = ACCOUNTS
    for account in (citizen, merchant):
        assert service_subject(account, SUBJECT_KEY).encode() in stored
    for account in ACCOUNTS:
        assert account.encode() not in stored


def test_no_token_key_or_search_reaches_the_log(fresh_shop: Shop) -> None:
    use_every_write(fresh_shop)
    fresh_shop.get("/v1/products?q=王小明")
    fresh_shop.get("/v1/orders/order_of_somebody", by=ACCOUNTS[0])
    log = b"".join(fresh_shop.log)
    assert log.count(b"\n") == len(fresh_shop.log)
    for secret in (
        *ACCOUNTS,
        "王小明",
        "%E7%8E%8B",
        "order_of_somebody",
        "Bearer",
        "sub_",
        "key-1",
    ):
        assert secret.encode() not in log
