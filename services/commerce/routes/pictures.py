"""Pictures over HTTP: merchants give products one, everyone sees it in the size that fits."""

from services.commerce import pictures
from services.commerce.actions import goods
from services.commerce.actions import pictures as actions
from services.commerce.routes.parts import MERCHANT, Commerce, keeper_of, new_router
from services.commerce.schemas.goods import ProductSchema, product_json
from shared.errors import NOT_FOUND, Refused
from shared.language import Words
from shared.web.routes import Answer, Binary, Call, Public

LARGEST = max(size.bytes_max for size in pictures.SIZES.values())
FOR_A_DAY = Public(max_age_seconds=86_400, stale_seconds=86_400)
"""A picture never changes at its address. One that was taken away is to be gone in a day."""

router = new_router()


@router.route(
    "GET /v1/products/{product_id}/pictures/{picture_id}/{size}",
    Words(
        "商品图片；size 为 160、480 或 1080（长边像素）",
        "A product's picture; size is 160, 480 or 1080, the pixels of its longer side",
    ),
    public=FOR_A_DAY,
    answer=Binary((pictures.GIVEN,), LARGEST),
)
def read_picture(call: Call[Commerce]) -> Answer:
    path = call.path
    if path["size"] not in pictures.SIZES:
        raise Refused(NOT_FOUND)
    found = actions.read_picture(
        call.parts.database,
        call.parts.gallery,
        path["product_id"],
        path["picture_id"],
        path["size"],
        call.freshness(goods.PUBLIC),
    )
    return Answer(found.value, found.seq)


@router.route(
    "POST /v1/products/{product_id}/picture",
    Words("上传商品图片，替换原图", "Give a product a picture, in place of the one it has"),
    scope="stores:write",
    roles=MERCHANT,
    body=Binary(pictures.TAKEN, pictures.UPLOAD_BYTES_MAX),
    answer=ProductSchema,
    problems=(pictures.NOT_A_PICTURE, pictures.TOO_MANY_PIXELS),
)
def give_picture(call: Call[Commerce]) -> Answer:
    return _set_picture(call, pictures.sized(call.upload))


@router.route(
    "POST /v1/products/{product_id}/picture/removal",
    Words("删除商品图片", "Take a product's picture away"),
    scope="stores:write",
    roles=MERCHANT,
    answer=ProductSchema,
)
def remove_picture(call: Call[Commerce]) -> Answer:
    return _set_picture(call, None)


def _set_picture(call: Call[Commerce], sizes: dict[str, bytes] | None) -> Answer:
    offer = actions.set_picture(
        call.parts.database,
        call.parts.gallery,
        keeper_of(call),
        call.path["product_id"],
        call.claim,
        sizes,
    )
    shown = product_json(offer.value, call.language)
    return Answer(shown, offer.seq, offer.value.product.revision)
