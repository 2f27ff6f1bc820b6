"""Sending: what a gateway may do, and what follows."""

import logging
import threading

import pytest

from shared.notices.message import Message
from shared.notices.outbox import ATTEMPTS_MAX
from shared.notices.sender import LOOK_SECONDS, PARALLEL, PAUSE_SECONDS, PAUSE_SECONDS_MAX
from shared.storage.memory import MemoryStore
from tests.notices.world import Phones, Street, away, breaks, loses_reply, messages, refuses
from tests.support.waiting import wait_until


@pytest.mark.parametrize("trouble", [away, loses_reply, breaks])
def test_what_did_not_get_through_is_sent_again_under_the_same_id(
    street: Street, phones: Phones, trouble: object
) -> None:
    placed = street.place(3)
    database = street.outbox()
    phones.troubles.extend([trouble] * 5)  # type: ignore[list-item]
    street.drain(street.consumer(phones, database), database)
    assert phones.rung() == placed
    assert len(phones.asked) == 3 + 5
    assert [message["state"] for message in messages(database, "sent")] == ["sent"] * 3


def test_what_is_refused_for_good_is_not_sent_again(street: Street, phones: Phones) -> None:
    refused, taken = street.place(2)
    database = street.outbox()
    phones.troubles.append(refuses)
    street.drain(street.consumer(phones, database), database)
    assert phones.rung() == [taken]
    assert phones.asked == [refused, taken]
    assert len(messages(database, "failed")) == 1


def test_a_gateway_that_never_answers_ends_a_message_and_nothing_else(
    street: Street, phones: Phones, caplog: pytest.LogCaptureFixture
) -> None:
    [lost] = street.place(1)
    database = street.outbox()
    consumer = street.consumer(phones, database)
    phones.troubles.extend([away] * ATTEMPTS_MAX)
    for _ in range(2 * ATTEMPTS_MAX):
        consumer.step()
        street.pass_time(15 * 60)
    assert len(phones.asked) == ATTEMPTS_MAX
    assert f"{lost} is given up" in caplog.text
    behind = street.place(1)
    street.drain(consumer, database)
    assert phones.rung() == behind


def test_a_dead_gateway_is_not_asked_for_every_message(street: Street, phones: Phones) -> None:
    street.place_at_once(100)
    consumer = street.consumer(phones, street.outbox(), parallel=PARALLEL)
    phones.troubles.extend([away] * 1000)
    waits = []
    for _ in range(7):
        consumer.step()
        waits.append(consumer.sender.step())
        street.clock.pass_monotonic(waits[-1])
    assert [round(wait) for wait in waits] == [1, 2, 4, 8, 16, PAUSE_SECONDS_MAX, PAUSE_SECONDS_MAX]
    assert len(phones.asked) == 7 * PARALLEL
    phones.troubles.clear()
    assert consumer.sender.step() == 0


def test_a_new_message_does_not_end_the_pause(street: Street, phones: Phones) -> None:
    street.place(1)
    consumer = street.consumer(phones, street.outbox())
    phones.troubles.append(away)
    consumer.step()
    street.place(1)
    assert consumer.step() == 1
    assert len(phones.asked) == 1
    street.clock.pass_monotonic(PAUSE_SECONDS)
    consumer.step()
    assert len(phones.asked) == 2


def test_a_lot_is_under_way_at_once(street: Street, phones: Phones) -> None:
    street.place_at_once(PARALLEL + 1)
    consumer = street.consumer(phones, street.outbox(), parallel=PARALLEL)
    consumer.feed.step()
    assert consumer.sender.step() == 0
    assert len(phones.sent) == PARALLEL
    assert consumer.sender.step() == 0
    assert len(phones.sent) == PARALLEL + 1


def test_a_message_that_takes_long_does_not_keep_the_others_from_being_noted(
    street: Street,
) -> None:
    street.place_at_once(PARALLEL)
    database = street.outbox()
    released, held = threading.Event(), threading.Lock()

    class Slow(Phones):
        def send(self, message: Message) -> None:
            if held.acquire(blocking=False):
                released.wait(30)
            super().send(message)

    consumer = street.consumer(Slow(), database, parallel=PARALLEL)
    thread = threading.Thread(target=consumer.step)
    thread.start()
    try:
        wait_until(lambda: len(messages(database, "sent")) == PARALLEL - 1, "all notes but one")
    finally:
        released.set()
        thread.join(30)
    assert len(messages(database, "sent")) == PARALLEL


def test_an_empty_outbox_is_left_alone(street: Street, phones: Phones) -> None:
    store = MemoryStore(street.bucket, street.clock)
    sender = street.consumer(phones, street.outbox(store=store)).sender
    assert sender.step() == LOOK_SECONDS
    database = street.outbox()
    calls = database.read(lambda view: view.seq).value
    for _ in range(10):
        assert 0 < sender.step() <= LOOK_SECONDS
    assert database.read(lambda view: view.seq).value == calls
    street.clock.pass_monotonic(LOOK_SECONDS)
    assert sender.step() == LOOK_SECONDS


def test_the_log_names_no_recipient_and_no_words(
    street: Street, phones: Phones, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    street.place(3)
    database = street.outbox()
    phones.troubles.extend([away, refuses, breaks])
    street.drain(street.consumer(phones, database), database)
    assert "is unsent for now: away" in caplog.text
    assert "subject-of-a-citizen" not in caplog.text
    assert "订单" not in caplog.text
