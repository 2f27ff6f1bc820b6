"""Stores over HTTP."""

from services.commerce.actions import goods
from services.commerce.actions.goods import PUBLIC
from services.commerce.routes.parts import MERCHANT, SHOP_WINDOW, Commerce, new_router
from services.commerce.routes.places import pavilion_of
from services.commerce.schemas import goods as schemas
from services.commerce.schemas.goods import store_json
from shared.divisions import PROVINCE
from shared.language import Words
from shared.schemas import PageQuery
from shared.storage.access import Committed, Document, Search
from shared.web.routes import Answer, Call

router = new_router()


@router.route(
    "GET /v1/stores",
    Words("店铺，最新在前", "Stores, newest first"),
    public=SHOP_WINDOW,
    query=schemas.StoreQuery,
    answer=schemas.StoresSchema,
)
def list_stores(call: Call[Commerce]) -> Answer:
    return _stores(call, call.query.get("division", PROVINCE.code))


def _stores(call: Call[Commerce], division: str) -> Answer:
    search = Search(
        "stores", equal=call.parts.divisions.within(division), order="opened_ms", descending=True
    )
    found = goods.search_stores(
        call.parts.database,
        search,
        limit=call.page.fetch,
        after=call.page.after,
        freshness=call.freshness(PUBLIC),
    )
    return call.page.answer(found, lambda hit: store_json(hit.document, call.language))


@router.route(
    "GET /v1/stores/{store_id}",
    Words("一家店铺", "One store"),
    public=SHOP_WINDOW,
    answer=schemas.StoreSchema,
)
def read_store(call: Call[Commerce]) -> Answer:
    found = goods.read_store(call.parts.database, call.path["store_id"], call.freshness(PUBLIC))
    return _store_answer(call, found)


@router.route(
    "POST /v1/stores",
    Words("开店", "Open a store"),
    scope="stores:write",
    roles=("merchant",),
    body=schemas.NewStoreSchema,
    answer=schemas.StoreSchema,
)
def open_store(call: Call[Commerce]) -> Answer:
    body = call.parts.divisions.placed(call.body)
    made = goods.open_store(call.parts.database, call.identity.subject, call.claim, body)
    answer = _store_answer(call, made)
    answer.location = f"/commerce/v1/stores/{made.value.key}"
    return answer


def _store_answer(call: Call[Commerce], found: Committed[Document]) -> Answer:
    return Answer(store_json(found.value, call.language), found.seq, found.value.revision)


@router.route(
    "GET /v1/my/stores",
    Words("我的店铺，最新在前", "My own stores, newest first"),
    scope="stores:read",
    roles=MERCHANT,
    query=PageQuery,
    answer=schemas.StoresSchema,
)
def list_own_stores(call: Call[Commerce]) -> Answer:
    found = goods.list_own_stores(
        call.parts.database,
        call.identity.subject,
        limit=call.page.fetch,
        after=call.page.after,
        freshness=call.freshness(),
    )
    return call.page.answer(found, lambda hit: store_json(hit.document, call.language))


@router.route(
    "GET /v1/pavilions/{pavilion_id}/stores",
    Words("地方馆的店铺，最新在前", "A pavilion's stores, newest first"),
    public=SHOP_WINDOW,
    query=PageQuery,
    answer=schemas.StoresSchema,
)
def list_pavilion_stores(call: Call[Commerce]) -> Answer:
    return _stores(call, pavilion_of(call).division)
