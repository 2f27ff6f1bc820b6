"""Following a journal: nothing skipped, nothing read twice for nothing, restores survived."""

import pytest

from services.commerce.notices import NOTICES
from shared.notices.feed import BEHIND_MAX, ENTRIES_MAX
from shared.notices.mapping import CannotTell, silent
from shared.notices.outbox import PUTS_MAX, TOLD_WITHIN_MS, read_cursor
from shared.storage.entry import UnreadableEntry
from shared.storage.memory import MemoryStore
from shared.times import HOUR_MS
from tests.notices.world import Phones, Street, messages


def test_every_event_of_a_long_journal_is_told_once(street: Street, phones: Phones) -> None:
    database = street.outbox()
    placed = street.place(1)
    street.trade(ENTRIES_MAX)
    placed += street.place(2)
    street.trade(2 * ENTRIES_MAX)
    placed += street.place(1)
    street.drain(street.consumer(phones, database), database)
    assert phones.rung() == placed
    assert {message.recipient for message in phones.sent} == {"subject-of-a-citizen"}


def test_an_entry_with_more_messages_than_a_transaction_takes_is_told_whole(
    street: Street, phones: Phones
) -> None:
    database = street.outbox()
    placed = street.place_at_once(2 * PUTS_MAX + 1)
    consumer = street.consumer(phones, database)
    assert consumer.feed.step() == 1 + 1
    assert len(messages(database, "waiting")) == len(placed)
    assert database.figures().changes == 3
    assert read_cursor(database).seq == 2  # type: ignore[union-attr]


def test_an_idle_service_is_asked_for_one_object_at_a_time(street: Street) -> None:
    store = MemoryStore(street.bucket, street.clock)
    database = street.outbox(store=store)
    street.place(1)
    feed = street.consumer(Phones(), database, store=store).feed
    assert feed.step() == 2
    calls, written = len(store.calls), database.figures().entries
    for _ in range(10):
        assert feed.step() == 0
    assert [call.operation for call in store.calls[calls:]] == ["get"] * 10
    assert database.figures().entries == written


def test_entries_that_concern_nobody_cost_no_entries(street: Street, phones: Phones) -> None:
    database = street.outbox()
    street.trade(BEHIND_MAX + 2)
    street.place(1)
    feed = street.consumer(phones, database).feed
    while feed.step():
        pass
    assert database.figures().entries == 2


def test_who_was_overtaken_reads_on_from_where_the_other_one_stood(
    street: Street, phones: Phones
) -> None:
    database = street.outbox()
    slow, fast = street.consumer(phones, database), street.consumer(phones, database)
    assert slow.feed.step() == fast.feed.step() == 0
    placed = street.place(ENTRIES_MAX + 8)
    while fast.feed.step():
        pass
    at = read_cursor(database)
    assert slow.feed.step() == ENTRIES_MAX
    assert read_cursor(database) == at
    placed += street.place(2)
    assert fast.feed.step() == 2
    slow.feed.step()
    placed += street.place(2)  # and nobody hears of the fast one again
    street.drain(slow, database)
    assert phones.rung() == placed
    assert phones.repeats == 0


def test_a_new_release_is_awaited_and_nothing_is_skipped(street: Street, phones: Phones) -> None:
    """An event of a kind that this release does not know, as a newer one emits."""
    database = street.outbox()
    before = street.place(2)
    foreign = street.happen("order.praised")
    behind = street.place(1)
    old = street.consumer(phones, database)
    for _ in range(3):
        with pytest.raises(CannotTell, match=f"order.praised .{foreign}. in journal entry 4"):
            old.feed.step()
    newer = {**NOTICES, "order.praised": NOTICES["order.placed"]}
    street.drain(street.consumer(phones, database, notices=newer), database)
    assert phones.rung() == [*before, foreign, *behind]


def test_an_event_without_its_document_is_named(street: Street) -> None:
    street.service.transact(lambda tx: tx.emit("order.placed", {"order": "order_x"}))
    with pytest.raises(CannotTell, match="in journal entry 2"):
        street.consumer(Phones(), street.outbox()).feed.step()


def test_a_silent_event_makes_no_message(street: Street, phones: Phones) -> None:
    street.happen("order.fulfilled")
    database = street.outbox()
    street.drain(street.consumer(phones, database), database)
    assert NOTICES["order.fulfilled"] is silent
    assert phones.asked == []


def test_a_new_outbox_leaves_the_distant_past_alone(street: Street, phones: Phones) -> None:
    street.place(5)
    street.trade(300)
    street.pass_time(TOLD_WITHIN_MS / 1000)
    young = street.place(3)
    street.pass_time(HOUR_MS / 1000)
    young += street.place(2)
    store = MemoryStore(street.bucket, street.clock)
    database = street.outbox()
    street.drain(street.consumer(phones, database, store=store), database)
    assert phones.rung() == young
    assert store.count("get", "commerce/journal/") < 25


def test_what_happened_long_before_it_is_read_stays_unsaid(street: Street, phones: Phones) -> None:
    database = street.outbox()
    consumer = street.consumer(phones, database)
    told = street.place(1)
    street.drain(consumer, database)
    street.place(1)
    street.pass_time(TOLD_WITHIN_MS / 1000 + 1)
    told += street.place(1)
    street.drain(consumer, database)
    assert phones.rung() == told


# Restores


def truncate(street: Street, last: int) -> None:
    """Put the bucket back to where the journal had `last` entries."""
    for info in street.store.list("commerce/journal/"):
        if int(info.key.rpartition("/")[2].removesuffix(".json")) > last:
            street.bucket.delete(info.key)


def restored(street: Street, last: int) -> None:
    """The service, on a journal that was put back."""
    truncate(street, last)
    street.clock.hurry()
    street.service.close()
    street.clock.rest()
    street.open_service("again")


@pytest.mark.parametrize("running", [True, False], ids=["running", "restarted"])
def test_after_a_restore_what_is_new_is_told_and_nothing_twice(
    street: Street, phones: Phones, running: bool
) -> None:
    """The journal is another one behind entry 3 than it was when it was read."""
    database = street.outbox()
    consumer = street.consumer(phones, database)
    before = street.place(6)
    street.drain(consumer, database)
    restored(street, last=3)
    after = street.place(2)
    if not running:
        consumer = street.consumer(phones, database)
    else:
        # It stands at entry 7, which is not there, and cannot know until there is an eighth.
        assert consumer.feed.step() == 0
        after += street.place(3)
        with pytest.raises(UnreadableEntry, match="does not follow"):
            consumer.feed.step()
    street.drain(consumer, database)
    assert phones.rung() == sorted([*before, *after])
    assert phones.repeats == 0


def test_a_journal_that_does_not_hang_together_stops_it(street: Street, phones: Phones) -> None:
    database = street.outbox()
    placed = street.place(4)
    key = street.journal().key(4)
    stored = street.store.get(key)
    street.bucket.tamper(
        key, stored.replace(b"commerce", b"commerse").replace(b'"seq":4', b'"seq": 4')
    )
    assert street.store.get(key) != stored
    consumer = street.consumer(phones, database)
    for _ in range(3):
        with pytest.raises(UnreadableEntry, match="entry 5 does not follow"):
            consumer.feed.step()
    street.bucket.tamper(key, stored)
    street.drain(consumer, database)
    assert phones.rung() == placed
