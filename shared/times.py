"""Times as people and documents write them: instants in UTC, days and hours in China's one zone.

Milliseconds since 1970-01-01T00:00Z are what everything computes with; the calendar is for what
belongs to a day in Gansu: a session, a ticket, an appointment.
"""

from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

ZONE_MS = 8 * HOUR_MS
"""China Standard Time is eight hours ahead of UTC, in Gansu too and in summer too (since 1992)."""

_EPOCH = date(1970, 1, 1)


def instant(now_ms: int) -> str:
    """A time in answers, from milliseconds UTC: RFC 3339, UTC, to the millisecond."""
    seconds, milliseconds = divmod(now_ms, 1000)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment.isoformat()[:19]}.{milliseconds:03d}Z"


def milliseconds(written: str) -> int:
    """What `instant` was made of. Raises ValueError where the calendar has no such time."""
    moment = datetime.fromisoformat(written)
    # Not by timestamp(), whose fractions of a second can come out a millisecond short.
    return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)


def midnight_ms(day: date) -> int:
    """The first moment of a day in Gansu."""
    return (day - _EPOCH).days * DAY_MS - ZONE_MS


def day_of(now_ms: int) -> date:
    """The day that it is in Gansu."""
    return _EPOCH + timedelta(days=(now_ms + ZONE_MS) // DAY_MS)


def minute_of(now_ms: int) -> int:
    """Minutes since midnight in Gansu."""
    return (now_ms + ZONE_MS) % DAY_MS // MINUTE_MS


def minutes_of(written: str) -> int:
    """Minutes since midnight, of a time of day: 08:30."""
    hours, _, minutes = written.partition(":")
    return int(hours) * 60 + int(minutes)


def clock_of(minutes: int) -> str:
    """What `minutes_of` was given."""
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def days_within(first: date, last: date, weekdays: Collection[int]) -> list[date]:
    """The days from one to another, both included, that are on some weekdays: 1 is Monday
    (ISO 8601).
    """
    span = (last - first).days + 1
    days = (first + timedelta(days=number) for number in range(span))
    return [day for day in days if day.isoweekday() in weekdays]
