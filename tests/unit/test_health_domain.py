"""The rules of health, on plain documents. Sequences of them are in tests/property."""

from collections.abc import Callable
from datetime import date
from itertools import combinations
from typing import Any

import pytest

from services.health.domain import appointments, problems, schedules
from services.health.domain.schedules import DayPlaces, Pattern
from shared.errors import INVALID, Problem, Refused
from shared.times import DAY_MS, HOUR_MS, MINUTE_MS, midnight_ms

MONDAY = date(2026, 1, 5)
EIGHT = midnight_ms(MONDAY) + 8 * HOUR_MS
DOCTOR = {"hospital": "h", "department": "d"}
DESK = {"no_shows_max": 2, "no_show_days": 30, "barred_days": 10}


def pattern(**changes: Any) -> Pattern:
    usual: dict[str, Any] = {
        "first": MONDAY,
        "last": MONDAY,
        "weekdays": frozenset({1}),
        "start_minute": 480,
        "end_minute": 600,
        "slot_minutes": 30,
        "places": 3,
        "release_days": 7,
        "release_minute": 420,
    }
    return Pattern(**{**usual, **changes})


def session(**changes: Any) -> dict[str, Any]:
    return schedules.new_session("doc", DOCTOR, pattern(**changes), MONDAY)


def refusal(act: Callable[[], Any], problem: Problem) -> Refused:
    with pytest.raises(Refused) as refused:
        act()
    assert refused.value.problem is problem
    return refused.value


# Sessions


def test_a_session_is_cut_into_slots() -> None:
    schedules.check_pattern(pattern())
    made = session()
    starts = [(slot["start_ms"] - EIGHT) // MINUTE_MS for slot in made["slots"]]
    assert starts == [0, 30, 60, 90]
    assert schedules.end_ms(made, made["slots"][3]) == EIGHT + 2 * HOUR_MS
    assert made["release_ms"] == EIGHT - 7 * DAY_MS - HOUR_MS
    assert schedules.session_id("doc", MONDAY, 485) == "doc.20260105.0805"


def test_a_pattern_may_be_as_long_as_a_month_and_no_longer() -> None:
    schedules.check_pattern(pattern(last=date(2026, 2, 4)))
    told = refusal(lambda: schedules.check_pattern(pattern(last=date(2026, 2, 5))), INVALID)
    assert [error.field for error in told.fields] == ["last"]


def test_places_move_and_none_is_lost() -> None:
    slot = schedules.new_slot(EIGHT, 3)
    for state in ("cancelled", "checked_in", "no_show"):
        schedules.take(slot)
        schedules.settle(slot, state)
    assert slot == {"start_ms": EIGHT, "free": 1, "booked": 0, "checked_in": 1, "no_show": 1}
    schedules.take(slot)
    refusal(lambda: schedules.take(slot), problems.FULLY_BOOKED)
    assert slot["free"] == 0


def test_a_slot_is_bookable_from_its_release_until_it_begins() -> None:
    made = session()
    release = made["release_ms"]
    told = refusal(lambda: schedules.bookable(made, EIGHT, release - 1), problems.NOT_OPEN_YET)
    assert told.detail == {"opens_at": "2025-12-28T23:00:00.000Z"}
    assert schedules.bookable(made, EIGHT + 30 * MINUTE_MS, release) == 1
    assert schedules.bookable(made, EIGHT, EIGHT - 1) == 0
    refusal(lambda: schedules.bookable(made, EIGHT, EIGHT), problems.SLOT_PAST)
    refusal(lambda: schedules.bookable(made, EIGHT + 1, release), problems.SLOT_GONE)


def test_sessions_may_touch_and_not_overlap() -> None:
    made = session()
    after = session(start_minute=600, end_minute=660)
    schedules.check_apart(after, [made])
    within = session(start_minute=599, end_minute=659)
    told = refusal(lambda: schedules.check_apart(within, [made]), problems.DOCTOR_BUSY)
    assert told.detail["busy_from"] == "2026-01-05T00:00:00.000Z"
    schedules.check_apart(within, [{**made, "state": "stopped"}])


def test_a_gap_that_a_move_left_is_free_for_others() -> None:
    made = session()
    schedules.move(made, 1, 900, EIGHT - 1)
    schedules.check_apart(session(start_minute=510, end_minute=540), [made])
    late = session(start_minute=900, end_minute=930)
    refusal(lambda: schedules.check_apart(late, [made]), problems.DOCTOR_BUSY)


def test_a_slot_that_has_begun_stays_and_none_goes_where_time_has_passed() -> None:
    refusal(lambda: schedules.move(session(), 0, 900, EIGHT), problems.SLOT_PAST)
    refusal(lambda: schedules.move(session(), 3, 470, EIGHT), problems.SLOT_PAST)


def test_a_session_is_stopped_until_its_last_slot_ends() -> None:
    made = session()
    refusal(lambda: schedules.stop(made, EIGHT + 2 * HOUR_MS), problems.SLOT_PAST)
    schedules.stop(made, EIGHT + 2 * HOUR_MS - 1)
    refusal(lambda: schedules.stop(made, EIGHT), problems.SESSION_STOPPED)


def test_a_day_shows_what_can_be_booked_now() -> None:
    made = session()
    release = made["release_ms"]
    schedules.take(made["slots"][2])
    later = {**session(start_minute=840, end_minute=900), "release_ms": release + 5}
    both = [made, later]
    assert schedules.day_places(MONDAY, both, release) == DayPlaces(MONDAY, 11, 18)
    assert schedules.day_places(MONDAY, both, release - 1) == DayPlaces(MONDAY, 0, 18, release)
    assert schedules.day_places(MONDAY, both, EIGHT) == DayPlaces(MONDAY, 14, 15)
    made["state"] = "stopped"
    assert schedules.day_places(MONDAY, [made], release) == DayPlaces(MONDAY)


# Patients


def entry(number: int, department: str, start: int, end: int) -> dict[str, Any]:
    return {
        "appointment": f"a{number}",
        "account": "sub_1",
        "department": department,
        "start_ms": start,
        "end_ms": end,
    }


def test_a_day_has_room_beside_other_departments_and_times() -> None:
    day = [entry(1, "d", 10, 20)]
    appointments.check_room(day, entry(2, "e", 20, 30), "sub_1")
    appointments.check_room(day, entry(2, "e", 0, 10), "sub_1")
    for start, end in ((19, 30), (0, 11), (12, 13), (0, 30)):
        wanted = entry(2, "e", start, end)
        told = refusal(
            lambda wanted=wanted: appointments.check_room(day, wanted, "sub_1"),  # type: ignore[misc]
            problems.TIME_TAKEN,
        )
        assert told.detail == {"appointment_id": "a1"}


def test_what_another_account_booked_is_in_the_way_and_not_named() -> None:
    day = [entry(1, "d", 10, 20)]
    for wanted, problem in (
        (entry(2, "d", 50, 60), problems.BOOKED_ALREADY),
        (entry(2, "e", 15, 25), problems.TIME_TAKEN),
    ):
        with pytest.raises(Refused) as refused:
            appointments.check_room(day, wanted, "sub_guardian")
        assert refused.value.problem is problem
        assert refused.value.detail == {}


@pytest.mark.parametrize(
    ("days", "until"),
    [
        ([], 0),
        ([1], 0),
        ([1, 30], 40),
        ([1, 31], 0),
        ([1, 2, 31], 41),
        ([1, 2, 40], 12),
        ([1, 40, 69], 79),
    ],
)
def test_whoever_misses_two_within_thirty_days_is_barred_for_ten(
    days: list[int], until: int
) -> None:
    missed = [day * DAY_MS for day in days]
    assert appointments.barred_until_ms(missed, DESK) == until * DAY_MS
    appointments.check_not_barred(missed, DESK, until * DAY_MS)
    if until:
        now_ms = until * DAY_MS - 1
        refusal(lambda: appointments.check_not_barred(missed, DESK, now_ms), problems.BARRED)


def test_only_the_latest_absences_are_remembered_in_order() -> None:
    assert appointments.remembered([1, 5, 3], DESK, 6) == [1, 3, 5]
    many = appointments.remembered(range(51), DESK, 51)
    assert (many[0], many[-1], len(many)) == (1, 50, 50)


def test_absences_are_remembered_as_long_as_they_can_count_and_no_longer() -> None:
    """Until a late one could be within thirty days of it and still bar for ten."""
    kept = appointments.remembered([day * DAY_MS for day in range(1, 60)], DESK, 60 * DAY_MS)
    assert [missed // DAY_MS for missed in kept] == list(range(21, 60))
    for first, late in combinations(range(1, 60), 2):
        both = [first * DAY_MS, late * DAY_MS]
        until = appointments.barred_until_ms(both, DESK)
        for now_ms in (60 * DAY_MS, 60 * DAY_MS + 1):
            known = appointments.remembered(both, DESK, now_ms)
            barred = now_ms < appointments.barred_until_ms(known, DESK)
            assert barred == (now_ms < until)
