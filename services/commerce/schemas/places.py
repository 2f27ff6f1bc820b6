"""Divisions and pavilions as JSON."""

from services.commerce.domain import (
    Pavilion,
)
from shared.divisions import LEVELS, Division
from shared.language import Language, Words
from shared.schemas import (
    LOCAL_NAME,
    Choice,
    Items,
    PageQuery,
    Schema,
    Text,
)
from shared.storage.catalogue import Body


class DivisionQuery(PageQuery):
    parent = Text(12, pattern=r"^62[0-9]{4,10}$", required=False, example="621200")


class DivisionSchema(Schema):
    code = Text(12, example="620103")
    level = Choice(*LEVELS)
    name = Text(100, doc=LOCAL_NAME)
    name_zh = Text(100)
    name_en = Text(100, minimum=0, doc=Words("县级以下为空", "Empty below the county"))
    parent = Text(12, minimum=0)


class DivisionsSchema(Schema):
    items = Items(DivisionSchema, PageQuery.LIMIT_MAX)
    after = Text(1024, nullable=True)


def division_json(division: Division, language: Language) -> Body:
    in_english = language == "en" and division.name_en
    return {
        "code": division.code,
        "level": division.level,
        "name": division.name_en if in_english else division.name_zh,
        "name_zh": division.name_zh,
        "name_en": division.name_en,
        "parent": division.parent,
    }


class PavilionSchema(Schema):
    id = Text(100, example="longnan")
    name = Text(100, doc=LOCAL_NAME)
    name_zh = Text(100)
    name_en = Text(100)
    division = Text(6, example="621200")


class PavilionsSchema(Schema):
    items = Items(PavilionSchema, 100)


def pavilion_json(pavilion: Pavilion, language: Language) -> Body:
    return {
        "id": pavilion.id,
        "name": pavilion.name_en if language == "en" else pavilion.name_zh,
        "name_zh": pavilion.name_zh,
        "name_en": pavilion.name_en,
        "division": pavilion.division,
    }
