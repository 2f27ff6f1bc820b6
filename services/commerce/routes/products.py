"""Products over HTTP: search for everyone, shelves for merchants."""

from services.commerce.actions import goods
from services.commerce.actions.goods import PUBLIC
from services.commerce.routes.parts import MERCHANT, SHOP_WINDOW, Commerce, keeper_of, new_router
from services.commerce.routes.places import pavilion_of
from services.commerce.schemas import goods as schemas
from services.commerce.schemas.goods import product_json
from shared.divisions import PROVINCE
from shared.errors import invalid
from shared.language import Words
from shared.schemas import PageQuery
from shared.storage.access import Committed, Search
from shared.storage.catalogue import Body
from shared.web.routes import Answer, Call

router = new_router()


@router.route(
    "GET /v1/products",
    Words("搜索商品", "Search products"),
    public=SHOP_WINDOW,
    query=schemas.ProductQuery,
    answer=schemas.ProductsSchema,
)
def search_products(call: Call[Commerce]) -> Answer:
    return _products(call, call.parts.divisions.within(call.query.get("division", PROVINCE.code)))


@router.route(
    "GET /v1/stores/{store_id}/products",
    Words("在一家店铺中搜索商品", "Search a store's products"),
    public=SHOP_WINDOW,
    query=schemas.ProductQuery,
    answer=schemas.ProductsSchema,
)
def search_store_products(call: Call[Commerce]) -> Answer:
    within = call.parts.divisions.within(call.query.get("division", PROVINCE.code))
    return _products(call, {**within, "store": call.path["store_id"]})


def _products(call: Call[Commerce], equal: dict[str, str]) -> Answer:
    query, page = call.query, call.page
    text = query.get("q", "")
    order, descending = _ORDERS[_sort(query)]
    search = Search(
        "products",
        text=text,
        equal={**equal, **_category(query), "for_sale": True},
        between={"price": _prices(query)},
        order=order,
        descending=descending,
    )
    found = goods.search_products(
        call.parts.database,
        search,
        limit=page.fetch,
        after=page.after,
        freshness=call.freshness(PUBLIC),
    )
    return page.answer(found, lambda offer: product_json(offer, call.language))


_ORDERS = {
    "relevance": ("relevance", False),
    "price": ("price", False),
    "-price": ("price", True),
    "newest": ("listed_ms", True),
}


def _sort(query: Body) -> str:
    """The order of a search. Without words there is no relevance to sort by."""
    if "q" not in query and query.get("sort") in {None, "relevance"}:
        return "newest"
    return str(query.get("sort", "relevance"))


def _prices(query: Body) -> tuple[int | None, int | None]:
    """The lowest and the highest that is asked for. Raises Refused where nothing can be between."""
    low, high = query.get("price_min"), query.get("price_max")
    if low is not None and high is not None and high < low:
        raise invalid("price_max", "不得小于 price_min", "has to be price_min or more")
    return low, high


def _category(query: Body) -> dict[str, str]:
    return {"category": query["category"]} if "category" in query else {}


@router.route(
    "GET /v1/products/{product_id}",
    Words("一件商品", "One product"),
    public=SHOP_WINDOW,
    answer=schemas.ProductSchema,
)
def read_product(call: Call[Commerce]) -> Answer:
    found = goods.read_product(call.parts.database, call.path["product_id"], call.freshness(PUBLIC))
    offer = found.value
    return Answer(product_json(offer, call.language), found.seq, offer.product.revision)


@router.route(
    "GET /v1/my/stores/{store_id}/products",
    Words("我的店铺的全部商品，最新在前", "All products of my own store, newest first"),
    scope="stores:read",
    roles=MERCHANT,
    query=PageQuery,
    answer=schemas.ProductsSchema,
)
def list_own_products(call: Call[Commerce]) -> Answer:
    found = goods.list_own_products(
        call.parts.database,
        keeper_of(call),
        call.path["store_id"],
        limit=call.page.fetch,
        after=call.page.after,
        freshness=call.freshness(),
    )
    return call.page.answer(found, lambda offer: product_json(offer, call.language))


@router.route(
    "POST /v1/stores/{store_id}/products",
    Words("上架商品", "Add a product"),
    scope="stores:write",
    roles=MERCHANT,
    body=schemas.NewProductSchema,
    answer=schemas.ProductSchema,
)
def add_product(call: Call[Commerce]) -> Answer:
    body = _priced(call.parts.divisions.placed(call.body))
    made = goods.add_product(
        call.parts.database, keeper_of(call), call.path["store_id"], call.claim, body
    )
    product = made.value
    # As it was made: the shelf is empty, also in the answer to a repeated request.
    shown = product_json(goods.Offer(product, available=0), call.language)
    return Answer(shown, made.seq, product.revision, f"/commerce/v1/products/{product.key}")


@router.route(
    "PATCH /v1/products/{product_id}",
    Words("修改商品", "Change a product"),
    scope="stores:write",
    roles=MERCHANT,
    body=schemas.ProductChangeSchema,
    answer=schemas.ProductSchema,
)
def change_product(call: Call[Commerce]) -> Answer:
    changed = goods.change_product(
        call.parts.database,
        keeper_of(call),
        call.path["product_id"],
        call.revision,
        _priced(call.body),
    )
    offer = changed.value
    return Answer(product_json(offer, call.language), changed.seq, offer.product.revision)


def _priced(body: Body) -> Body:
    """`body` with its price, if it has one, in fen."""
    return {**body, "price": body["price"]["amount"]} if "price" in body else body


@router.route(
    "GET /v1/pavilions/{pavilion_id}/products",
    Words("在地方馆中搜索商品", "Search a pavilion's products"),
    public=SHOP_WINDOW,
    query=schemas.ProductQuery,
    answer=schemas.ProductsSchema,
)
def search_pavilion_products(call: Call[Commerce]) -> Answer:
    # A county chosen within the pavilion narrows the search; one elsewhere finds nothing.
    within = call.parts.divisions.within(pavilion_of(call).division)
    chosen = call.parts.divisions.within(call.query.get("division", PROVINCE.code))
    if any(chosen.get(member, code) != code for member, code in within.items()):
        return call.page.answer(Committed([], 0), lambda nothing: nothing)
    return _products(call, {**within, **chosen})
