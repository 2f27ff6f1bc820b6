"""Stock over HTTP, for merchants."""

from services.commerce.actions import goods
from services.commerce.domain import COUNT_TOO_HIGH, COUNT_TOO_LOW
from services.commerce.routes.parts import MERCHANT, Commerce, keeper_of, new_router
from services.commerce.schemas import goods as schemas
from services.commerce.schemas.goods import stock_json
from shared.language import Words
from shared.storage.access import Committed, Document
from shared.web.routes import Answer, Call

router = new_router()


@router.route(
    "GET /v1/products/{product_id}/stock",
    Words("商品库存", "A product's stock"),
    scope="stores:read",
    roles=MERCHANT,
    answer=schemas.StockSchema,
)
def read_stock(call: Call[Commerce]) -> Answer:
    return _stock_answer(
        goods.read_stock(
            call.parts.database, keeper_of(call), call.path["product_id"], call.freshness()
        )
    )


@router.route(
    "PUT /v1/products/{product_id}/stock",
    Words("按清点结果设定现货", "Set what is on hand after a count"),
    scope="stores:write",
    roles=MERCHANT,
    body=schemas.CountSchema,
    answer=schemas.StockSchema,
    problems=(COUNT_TOO_HIGH,),
)
def count_stock(call: Call[Commerce]) -> Answer:
    return _stock_answer(
        goods.count_stock(
            call.parts.database,
            keeper_of(call),
            call.path["product_id"],
            call.revision,
            call.body["on_hand"],
        )
    )


@router.route(
    "POST /v1/products/{product_id}/stock/adjustments",
    Words("到货或损耗", "Record what came in or was lost"),
    scope="stores:write",
    roles=MERCHANT,
    body=schemas.AdjustmentSchema,
    answer=schemas.StockSchema,
    problems=(COUNT_TOO_LOW, COUNT_TOO_HIGH),
)
def adjust_stock(call: Call[Commerce]) -> Answer:
    return _stock_answer(
        goods.adjust_stock(
            call.parts.database,
            keeper_of(call),
            call.path["product_id"],
            call.claim,
            call.body["delta"],
        )
    )


def _stock_answer(found: Committed[Document]) -> Answer:
    return Answer(stock_json(found.value), found.seq, found.value.revision)
