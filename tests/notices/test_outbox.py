"""The outbox's transactions: cursor, leases, ends."""

from typing import Any

import pytest

from shared.language import Words
from shared.notices import outbox
from shared.notices.message import Message
from shared.notices.outbox import (
    ATTEMPTS_MAX,
    KEPT_MS,
    LEASE_MS,
    REMOVED_MAX,
    SENT_WITHIN_MS,
    TOLD_WITHIN_MS,
    Cursor,
    Lease,
    Outcome,
    claim,
    pause_ms,
    read_cursor,
    settle,
    write_down,
)
from shared.storage.database import JournalDatabase
from shared.times import HOUR_MS, MINUTE_MS
from tests.notices.world import Street, messages

HELLO = Message("event_1", "subject", "order.placed", Words("您好", "Hello"))


@pytest.fixture
def database(street: Street) -> JournalDatabase:
    return street.outbox()


def written(database: JournalDatabase, *ids: str) -> None:
    made = [Message(each, "subject", "order.placed", Words("您好", "Hello")) for each in ids]
    assert write_down(database, made, None, None)


def claimed(database: JournalDatabase, count: int = 8) -> list[Lease]:
    return list(claim(database, count).leases)


def only(database: JournalDatabase, state: str) -> dict[str, Any]:
    [found] = messages(database, state)
    return found


def test_messages_and_cursor_are_one_transaction(database: JournalDatabase) -> None:
    before = database.figures().entries
    assert write_down(database, [HELLO], None, Cursor(3, "abc"))
    assert database.figures().entries == before + 1
    assert read_cursor(database) == Cursor(3, "abc")
    assert [lease.message for lease in claimed(database)] == [HELLO]


def test_who_has_not_read_the_cursor_moves_nothing(database: JournalDatabase) -> None:
    assert write_down(database, [], None, Cursor(3, "abc"))
    for stale in (None, Cursor(2, "abc"), Cursor(3, "other")):
        assert not write_down(database, [HELLO], stale, Cursor(9, "xyz"))
        assert not write_down(database, [HELLO], stale, None)
    assert read_cursor(database) == Cursor(3, "abc")
    assert messages(database, "waiting") == []


def test_a_message_that_stands_is_not_written_again(database: JournalDatabase) -> None:
    written(database, "event_1")
    [lease] = claimed(database)
    settle(database, lease, Outcome.SENT)
    written(database, "event_1")
    assert messages(database, "waiting") == []
    assert only(database, "sent")["attempts"] == 1


def test_a_claimed_message_is_nobody_elses_until_its_lease_ends(
    street: Street, database: JournalDatabase
) -> None:
    written(database, "event_1", "event_2", "event_3")
    first = claimed(database, 2)
    assert len(first) == 2
    assert [lease.message.id for lease in claimed(database)] == ["event_3"]
    assert claim(database, 8).wait_ms == LEASE_MS
    street.clock.pass_wall(seconds=LEASE_MS / 1000)
    assert len(claimed(database)) == 3


def test_who_lost_its_lease_has_a_say_only_if_it_sent(
    street: Street, database: JournalDatabase
) -> None:
    written(database, "event_1")
    [lost] = claimed(database)
    street.clock.pass_wall(seconds=LEASE_MS / 1000)
    [held] = claimed(database)
    for outcome in (Outcome.REFUSED, Outcome.LATER):
        settle(database, lost, outcome)
        assert claim(database, 8).wait_ms == LEASE_MS
    settle(database, lost, Outcome.SENT)
    settle(database, held, Outcome.REFUSED)
    settle(database, held, Outcome.LATER)
    assert only(database, "sent")["attempts"] == 2
    assert messages(database, "failed") == messages(database, "waiting") == []


def test_failures_are_further_and_further_apart_and_end(
    street: Street, database: JournalDatabase
) -> None:
    assert [pause_ms(attempt) for attempt in (1, 2, 3, 99)] == [5000, 10_000, 20_000, 15 * 60_000]
    whole = sum(pause_ms(attempt) for attempt in range(1, ATTEMPTS_MAX + 1))
    assert 22 * HOUR_MS < whole < 26 * HOUR_MS
    written(database, "event_1")
    for attempt in range(1, ATTEMPTS_MAX + 1):
        [lease] = claimed(database)
        assert lease.attempt == attempt
        settle(database, lease, Outcome.LATER)
        assert claimed(database) == []
        street.clock.pass_wall(seconds=pause_ms(attempt) / 1000)
    assert claim(database, 8).failed == ("event_1",)
    assert only(database, "failed")["attempts"] == ATTEMPTS_MAX
    assert claim(database, 8).wait_ms is None


def test_nothing_is_sent_that_has_waited_for_days(
    street: Street, database: JournalDatabase
) -> None:
    written(database, "event_1")
    street.clock.pass_wall(seconds=SENT_WITHIN_MS / 1000)
    assert claim(database, 8).failed == ("event_1",)


def test_what_is_over_is_removed_in_the_end_and_not_before(
    street: Street, database: JournalDatabase
) -> None:
    written(database, "event_1", "event_2")
    sent, refused = claimed(database)
    settle(database, sent, Outcome.SENT)
    settle(database, refused, Outcome.REFUSED)
    street.clock.pass_wall(seconds=KEPT_MS / 1000 - 1)
    claimed(database)
    assert len(messages(database, "sent")) == len(messages(database, "failed")) == 1
    street.clock.pass_wall(seconds=1)
    claimed(database)
    assert messages(database, "sent") == messages(database, "failed") == []


def test_removal_keeps_ahead_of_sending() -> None:
    assert REMOVED_MAX > 2 * outbox.PUTS_MAX // 8


def test_what_was_sent_is_kept_for_longer_than_reading_goes_back() -> None:
    # A message may also be sent so long after it was written down; its lease and pauses are short.
    assert TOLD_WITHIN_MS + 60 * MINUTE_MS <= KEPT_MS
