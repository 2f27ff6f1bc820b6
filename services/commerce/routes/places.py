"""Divisions and pavilions over HTTP."""

from services.commerce.domain import PAVILIONS, Pavilion
from services.commerce.routes.parts import REFERENCE, Commerce, new_router
from services.commerce.schemas import places as schemas
from shared.divisions import PROVINCE
from shared.errors import NOT_FOUND, Refused
from shared.language import Words
from shared.storage.access import Committed
from shared.web.routes import Answer, Call

router = new_router()


@router.route(
    "GET /v1/divisions",
    Words("下级行政区划", "The divisions below one"),
    public=REFERENCE,
    query=schemas.DivisionQuery,
    answer=schemas.DivisionsSchema,
)
def list_divisions(call: Call[Commerce]) -> Answer:
    page = call.page
    after = "" if page.after is None else str(page.after[0])
    parent = call.query.get("parent", PROVINCE.code)
    found = call.parts.divisions.below(parent, after=after, limit=page.fetch)
    return page.answer(
        Committed(found, 0), lambda division: schemas.division_json(division, call.language)
    )


@router.route(
    "GET /v1/divisions/{code}",
    Words("一个行政区划", "One division"),
    public=REFERENCE,
    answer=schemas.DivisionSchema,
)
def read_division(call: Call[Commerce]) -> Answer:
    division = call.parts.divisions.get(call.path["code"])
    if division is None:
        raise Refused(NOT_FOUND)
    return Answer(schemas.division_json(division, call.language))


@router.route(
    "GET /v1/pavilions",
    Words("各地方馆", "The pavilions"),
    public=REFERENCE,
    answer=schemas.PavilionsSchema,
)
def list_pavilions(call: Call[Commerce]) -> Answer:
    return Answer({"items": [schemas.pavilion_json(p, call.language) for p in PAVILIONS]})


@router.route(
    "GET /v1/pavilions/{pavilion_id}",
    Words("一个地方馆", "One pavilion"),
    public=REFERENCE,
    answer=schemas.PavilionSchema,
)
def read_pavilion(call: Call[Commerce]) -> Answer:
    return Answer(schemas.pavilion_json(pavilion_of(call), call.language))


def pavilion_of(call: Call[Commerce]) -> Pavilion:
    wanted = call.path["pavilion_id"]
    for pavilion in PAVILIONS:
        if pavilion.id == wanted:
            return pavilion
    raise Refused(NOT_FOUND)
