"""Attractions and their crowds as JSON."""

from services.tourism.actions.sessions import Crowd
from services.tourism.domain import CAPACITY_MAX, LEVELS, crowd_level
from shared.language import Language, Words, local
from shared.places import Place
from shared.schemas import (
    COUNTY,
    DIVISION,
    LOCAL_NAME,
    PLACE,
    SAMPLE,
    Choice,
    Day,
    Flag,
    Items,
    PageQuery,
    Schema,
    Text,
    Whole,
)
from shared.storage.catalogue import Body

MICRODEGREES = Words("百万分之一度", "millionths of a degree")
NEAR = r"^(3[2-9]|4[0-3])(\.[0-9]{1,6})?,(9[2-9]|10[0-9])(\.[0-9]{1,6})?$"
DISTANCE_MAX = 2_000_000


class AttractionQuery(PageQuery):
    q = Text(60, required=False, doc=Words("中文或英文", "Chinese or English"), example="莫高窟")
    division = Text(6, pattern=DIVISION, required=False, doc=PLACE, example="620900")
    near = Text(
        30,
        pattern=NEAR,
        required=False,
        doc=Words("纬度,经度；最近的在前", "Latitude,longitude in degrees; the nearest first"),
        example="40.04,94.80",
    )


class AttractionSchema(Schema):
    id = Text(100, example="mogao")
    name = Text(100, doc=LOCAL_NAME)
    name_zh = Text(100)
    name_en = Text(100)
    division = Text(6, pattern=DIVISION, doc=COUNTY)
    latitude = Whole(32_000_000, 44_000_000, doc=MICRODEGREES, example=40_040_000)
    longitude = Whole(92_000_000, 110_000_000, doc=MICRODEGREES, example=94_800_000)
    level = Text(
        2,
        required=False,
        doc=Words("国家景区等级，仅限有出处者", "The national grade, only where it has a source"),
        example="5A",
    )
    distance_m = Whole(0, DISTANCE_MAX, required=False, doc=Words("距离（米）", "in metres"))


class AttractionsSchema(Schema):
    items = Items(AttractionSchema, PageQuery.LIMIT_MAX)
    after = Text(1024, nullable=True)


class CrowdSchema(Schema):
    """How full an attraction is today."""

    attraction_id = Text(100, example="mogao")
    day = Day(example="2026-12-01")
    booked = Whole(0, 10**9, doc=Words("已预留和售出的票", "Places held and sold for the day"))
    admitted = Whole(0, 10**9, doc=Words("已入园人数", "Visitors who came in"))
    daily_max = Whole(
        1,
        100 * CAPACITY_MAX,
        required=False,
        doc=Words("核定日最大承载量", "The approved daily maximum"),
    )
    level = Choice(
        *LEVELS,
        required=False,
        doc=Words(
            "按入园人数，LB/T 068-2017 第 5 章；阈值见 thresholds",
            "By who came in, LB/T 068-2017, clause 5, from the percentages in `thresholds`",
        ),
    )
    thresholds = Items(Whole(1, 200), len(LEVELS) - 1)
    sample = Flag(doc=SAMPLE)


def attraction_json(place: Place, language: Language, distance_m: int | None = None) -> Body:
    body = place.body
    shown: Body = {
        "id": place.id,
        "name": local(body, "name", language),
        "name_zh": body["name_zh"],
        "name_en": body["name_en"],
        "division": body["division"],
        "latitude": round(body["lat"] * 1_000_000),
        "longitude": round(body["lon"] * 1_000_000),
    }
    if body["level_sourced"] and body["level"]:
        shown["level"] = body["level"]
    if distance_m is not None:
        shown["distance_m"] = distance_m
    return shown


def crowd_json(attraction_id: str, crowd: Crowd) -> Body:
    shown: Body = {
        "attraction_id": attraction_id,
        "day": crowd.day,
        "booked": crowd.booked,
        "admitted": crowd.admitted,
        "thresholds": list(crowd.thresholds),
        "sample": crowd.sample,
    }
    if crowd.daily_max is not None:
        shown["daily_max"] = crowd.daily_max
        shown["level"] = crowd_level(crowd.admitted, crowd.daily_max, crowd.thresholds)
    return shown
