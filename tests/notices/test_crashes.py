"""One message for each event, wherever the consumer dies and however often.

A consumer's life is counted in what it does to the world: before and after each transaction and
each request to the gateway. The first tests end a life at every one of these.
"""

import random
import threading

import pytest

from shared.notices.sender import PARALLEL
from shared.storage.database import JournalDatabase
from shared.storage.memory import MemoryStore, drop, lose_reply
from tests.notices.world import Consumer, Death, Life, Phones, Street, messages
from tests.support.waiting import wait_until

EVENTS = 5
SEED = 620105


def live(street: Street, consumer: Consumer, database: JournalDatabase) -> bool:
    """Work until everything is sent, or until death; whether it was reached alive."""
    try:
        street.drain(consumer, database)
    except Death:
        return False
    return True


@pytest.mark.parametrize("parallel", [1, PARALLEL])
def test_a_death_at_any_step_neither_loses_nor_repeats_a_message(
    street: Street, parallel: int
) -> None:
    placed = [*street.place(2), *street.place_at_once(EVENTS - 2)]
    steps = 1
    while True:
        phones, database, life = Phones(), street.outbox(f"outbox-{steps}"), Life(steps)
        alive = live(
            street,
            street.consumer(phones, database, life=life, parallel=parallel),
            database,
        )
        street.pass_time()
        street.drain(street.consumer(phones, database, parallel=parallel), database)
        assert phones.rung() == sorted(placed), f"died at step {steps}"
        assert phones.repeats <= (0 if alive else parallel), f"died at step {steps}"
        assert len(messages(database, "sent")) == EVENTS
        if alive:
            break
        steps += 1
    # One transaction for the events, one claim and one note for each lot: it has to be some.
    assert steps > 10


def test_a_consumer_that_dies_again_and_again_gets_everything_out_once(
    street: Street, phones: Phones
) -> None:
    chance = random.Random(SEED)
    database = street.outbox()
    placed: list[str] = []
    deaths = 0
    for _ in range(150):
        if chance.random() < 0.3:
            placed += street.place(chance.randint(1, 2))
        alive = live(
            street,
            street.consumer(phones, database, life=Life(chance.randint(1, 12))),
            database,
        )
        deaths += not alive
        street.pass_time(chance.uniform(0, 20))
    street.drain(street.consumer(phones, database), database)
    assert phones.rung() == placed
    assert phones.repeats <= deaths
    assert deaths > 100
    assert len(placed) > 30


def test_a_store_that_loses_requests_and_replies_costs_nothing(
    street: Street, phones: Phones
) -> None:
    placed = street.place(EVENTS)
    store = MemoryStore(street.bucket, street.clock)
    database = street.outbox(store=store)
    for fault in (drop, lose_reply) * 6:
        store.inject("create", fault, key="outbox/journal/")
    street.drain(street.consumer(phones, database, store=store), database)
    assert phones.rung() == placed
    assert store.count("create", "outbox/journal/", "Uncertain") == 12


def test_two_consumers_at_once_send_nothing_twice(street: Street, phones: Phones) -> None:
    databases = [street.outbox(machine=str(number)) for number in (1, 2)]
    consumers = [street.consumer(phones, each, parallel=4) for each in databases]
    placed = street.place_at_once(20)
    stopping = threading.Event()

    def work(consumer: Consumer) -> None:
        while not stopping.is_set():
            consumer.step()
            consumer.sender.wake()

    threads = [threading.Thread(target=work, args=(each,), daemon=True) for each in consumers]
    for thread in threads:
        thread.start()
    for _ in range(10):
        placed += street.place(2)
    # Wall time stands still, so no lease ends, and no request is anybody's second.
    wait_until(lambda: len(phones.asked) >= len(placed), "all messages")
    wait_until(lambda: not messages(databases[0], "waiting"), "all notes of them")
    stopping.set()
    for thread in threads:
        thread.join(30)
    assert phones.rung() == sorted(placed)
    assert phones.repeats == 0
