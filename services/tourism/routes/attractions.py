"""Attractions over HTTP: who looks for one, and how crowded it is."""

from math import asin, cos, radians, sin, sqrt

from services.tourism import domain
from services.tourism.actions import sessions as actions
from services.tourism.actions.keepers import PUBLIC
from services.tourism.routes.parts import CALENDAR, REFERENCE, Tourism, new_router
from services.tourism.schemas import attractions as schemas
from services.tourism.schemas.attractions import attraction_json, crowd_json
from shared.divisions import PROVINCE
from shared.language import Words
from shared.places import Place
from shared.storage.access import Committed
from shared.storage.catalogue import Body
from shared.web.routes import Answer, Call

router = new_router()

_EARTH_RADIUS_M = 6_371_000


@router.route(
    "GET /v1/attractions",
    Words("查找景区", "Search attractions"),
    public=REFERENCE,
    query=schemas.AttractionQuery,
    answer=schemas.AttractionsSchema,
)
def search_attractions(call: Call[Tourism]) -> Answer:
    query, page, near = call.query, call.page, call.query.get("near")
    within = call.parts.divisions.within(query.get("division", PROVINCE.code))
    attractions, text = call.parts.attractions, query.get("q", "")
    if near is None:
        found = attractions.search(text, within, limit=page.fetch, after=page.after)
        return page.answer(Committed(found, 0), lambda place: attraction_json(place, call.language))
    latitude, longitude = (float(number) for number in near.split(","))

    def by_distance(place: Place) -> tuple[int, ...]:
        return distance_m(latitude, longitude, place.body), *map(int, place.position)

    found = attractions.search(text, within, limit=page.fetch, after=page.after, order=by_distance)
    return page.answer(
        Committed(found, 0),
        lambda place: attraction_json(place, call.language, int(place.position[0])),
    )


def distance_m(latitude: float, longitude: float, there: Body) -> int:
    """The way to an attraction as the crow flies, by the haversine formula."""
    here_rad, there_rad = radians(latitude), radians(there["lat"])
    half_north = sin((there_rad - here_rad) / 2)
    half_east = sin(radians(there["lon"] - longitude) / 2)
    chord = half_north**2 + cos(here_rad) * cos(there_rad) * half_east**2
    return round(2 * _EARTH_RADIUS_M * asin(sqrt(chord)))


@router.route(
    "GET /v1/attractions/{attraction_id}",
    Words("一个景区", "One attraction"),
    public=REFERENCE,
    answer=schemas.AttractionSchema,
)
def read_attraction(call: Call[Tourism]) -> Answer:
    place = call.parts.attractions.require(call.path["attraction_id"])
    return Answer(attraction_json(place, call.language))


@router.route(
    "GET /v1/attractions/{attraction_id}/crowd",
    Words("景区今日拥挤程度", "How crowded an attraction is today"),
    public=CALENDAR,
    answer=schemas.CrowdSchema,
)
def read_crowd(call: Call[Tourism]) -> Answer:
    attraction = call.parts.attractions.require(call.path["attraction_id"]).id
    day = domain.today(call.parts.clock.now_ms())
    found = actions.read_crowd(call.parts.database, attraction, day, call.freshness(PUBLIC))
    return Answer(crowd_json(attraction, found.value), found.seq)
