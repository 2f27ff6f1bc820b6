"""Divisions as they are read from the province's file."""

from services.commerce.domain import PAVILIONS
from shared.divisions import PROVINCE
from tests.support.served import all_divisions


def test_the_whole_province_is_there() -> None:
    divisions = all_divisions()
    levels: dict[str, int] = {}
    waiting = [PROVINCE.code]
    while waiting:
        below = divisions.below(waiting.pop(), limit=10_000)
        waiting += [division.code for division in below]
        for division in below:
            levels[division.level] = levels.get(division.level, 0) + 1
    assert levels == {"prefecture": 14, "county": 88, "township": 1403, "village": 17_718}


def test_a_county_is_a_county_and_nothing_else_is() -> None:
    divisions = all_divisions()
    county = divisions.county("620201")
    assert county is not None
    assert (county.name_zh, county.parent) == ("嘉峪关市", "620200")
    for code in ("620000", "620200", "620102001", "110101", ""):
        assert divisions.county(code) is None


def test_divisions_continue_behind_a_code() -> None:
    divisions = all_divisions()
    whole = [division.code for division in divisions.below("621200", limit=100)]
    assert whole == sorted(whole)
    first = [division.code for division in divisions.below("621200", limit=4)]
    rest = [division.code for division in divisions.below("621200", after=first[-1], limit=100)]
    assert first + rest == whole
    assert divisions.below("nowhere", limit=10) == []


def test_pavilions_lie_in_gansu() -> None:
    for pavilion in PAVILIONS:
        division = all_divisions().get(pavilion.division)
        assert division is not None
        assert division.level in {"province", "prefecture"}
