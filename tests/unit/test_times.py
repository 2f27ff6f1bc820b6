"""Instants, and days in China's one zone."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.times import (
    DAY_MS,
    clock_of,
    day_of,
    days_within,
    instant,
    midnight_ms,
    milliseconds,
    minute_of,
    minutes_of,
)

NEW_YEAR_MS = 1_767_225_600_000
"""2026-01-01T00:00Z, eight in the morning in Gansu."""


def test_a_day_begins_at_midnight_in_gansu() -> None:
    assert instant(midnight_ms(date(2026, 1, 1))) == "2025-12-31T16:00:00.000Z"
    assert day_of(NEW_YEAR_MS) == date(2026, 1, 1)
    assert minute_of(NEW_YEAR_MS) == 8 * 60
    assert day_of(midnight_ms(date(2026, 1, 1)) - 1) == date(2025, 12, 31)


@given(st.integers(0, 4_102_444_800_000))
def test_an_instant_reads_back_and_lies_in_its_day(now_ms: int) -> None:
    assert milliseconds(instant(now_ms)) == now_ms
    begin = midnight_ms(day_of(now_ms))
    assert begin <= now_ms < begin + DAY_MS
    assert begin + minute_of(now_ms) * 60_000 <= now_ms < begin + (minute_of(now_ms) + 1) * 60_000


@pytest.mark.parametrize("written", ["2026-02-30T00:00:00.000Z", "2026-01-01T24:30:00.000Z"])
def test_a_time_that_no_calendar_has_is_an_error(written: str) -> None:
    with pytest.raises(ValueError, match=r"day|hour"):
        milliseconds(written)


def test_a_time_of_day_reads_back() -> None:
    assert (minutes_of("08:30"), clock_of(510)) == (510, "08:30")
    assert [minutes_of(clock_of(minutes)) for minutes in range(24 * 60)] == list(range(24 * 60))


def test_both_ends_of_a_span_count_where_their_weekday_does() -> None:
    monday, sunday = date(2026, 1, 5), date(2026, 1, 18)
    assert days_within(monday, sunday, {1, 7}) == [
        monday,
        date(2026, 1, 11),
        date(2026, 1, 12),
        sunday,
    ]
    assert days_within(monday, monday, {1}) == [monday]
    assert days_within(monday, monday, {2}) == days_within(sunday, monday, {1}) == []
