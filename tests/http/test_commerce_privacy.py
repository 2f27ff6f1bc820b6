"""What reaches the journal and the log: no account ids, no tokens, nothing that a person typed."""

import orjson

from shared.auth.subjects import service_subject
from shared.storage.entry import decode
from tests.http.test_commerce_orders import cancel, fulfil, refuse
from tests.support.ledger import entries_of
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
    refuse(shop, made(shop.post("/v1/orders", order_of(lily), by=citizen)), by=operator)
    cancel(shop, made(shop.post("/v1/orders", order_of(lily), by=citizen)), by=citizen)


def test_no_route_stores_an_account_id(fresh_shop: Shop) -> None:
    use_every_write(fresh_shop)
    stored = fresh_shop.stored()
    for account in ACCOUNTS:
        assert service_subject(account, SUBJECT_KEY).encode() in stored
    for account in ACCOUNTS:
        assert account.encode() not in stored


def test_the_journal_says_who_keeps_what_and_no_answer_does(fresh_shop: Shop) -> None:
    shop = fresh_shop
    _, merchant, operator = ACCOUNTS
    store = shop.open_store(by=merchant)
    for by in (merchant, operator):
        lily = shop.add(store, by=by, on_hand=10)
        path = f"/v1/products/{lily}"
        tag = {"If-Match": shop.get(f"{path}/stock", by=by).headers["ETag"]}
        counted = shop.ask("PUT", f"{path}/stock", {"on_hand": 9}, by=by, headers=tag)
        tag = {"If-Match": shop.get(path).headers["ETag"]}
        changed = shop.ask("PATCH", path, {"for_sale": True}, by=by, headers=tag)
        shop.picture(lily, by=by)
        answers = [
            counted,
            changed,
            shop.post(f"{path}/picture/removal", by=by),
            fulfil(shop, shop.order(lily), by=by),
            refuse(shop, shop.order(lily), by=by),
            shop.get(path),
            shop.get(f"/v1/stores/{store}/products"),
            shop.get("/v1/orders", by="citizen-1"),
        ]
        assert {answer.status_code for answer in answers} == {200, 201}
        assert "sub_" not in "".join(answer.text for answer in answers)
    deeds = (
        *("product.added", "stock.adjusted", "stock.counted"),
        *("product.changed", "product.changed", "product.changed"),
        *("order.fulfilled", "order.refused"),
    )
    subjects = [service_subject(by, SUBJECT_KEY) for by in (merchant, operator)]
    said = [
        (event.kind, orjson.loads(event.data).get("by"))
        for seq, stored in enumerate(entries_of(shop.store, "commerce/"), 1)
        for event in decode(stored, seq).events
        if event.kind != "order.placed"
    ]
    assert said == [(deed, subject) for subject in subjects for deed in deeds]


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
