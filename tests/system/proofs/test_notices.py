"""Notices: one message for each order, however often the notifier is killed.

A citizen orders while the notifier of commerce, a real process before a gateway that forgets
replies and sometimes fails, is killed by SIGKILL: in every second round in the very moment in which
the gateway has a message and the notifier does not know it yet. In the end the gateway's ids are
held against the journal's events.

Three kills in CI; thirty by `make proof`.
"""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from infra import programs
from shared.storage.entry import decode
from tests.support.crowds import Client, new_key
from tests.support.fleet import Fleet, Part
from tests.support.ledger import entries_of
from tests.support.shoppers import AMPLE, open_market
from tests.support.stub_http import Request, StubHttp, answer
from tests.support.waiting import wait_until

SEED = 620106
KILLS, KILLS_PROOF = 3, 30
KEY = "a-key-that-only-this-test-knows"


class Phones:
    """The gateway: it knows ids, fails now and then, and can be made to hold its next reply."""

    def __init__(self, seed: int) -> None:
        self.asked: list[str] = []
        self.sent: dict[str, dict[str, str]] = {}
        self.wrong: list[str] = []
        self.mended = False
        self.holding = threading.Event()
        self.held = threading.Event()
        self.released = threading.Event()
        self._chance = random.Random(seed)
        self._lock = threading.Lock()

    def reply(self, request: Request) -> Iterable[bytes]:
        """What `StubHttp` answers."""
        with self._lock:
            chance = 0.5 if self.mended else self._chance.random()
            if chance < 0.05:
                return [answer(500)]
            status = self._take(request)
        if self.holding.is_set() and status == 202:
            self.held.set()
            self.released.wait(30)
            return []
        return [] if chance > 0.95 else [answer(status)]

    def _take(self, request: Request) -> int:
        said = orjson.loads(request.body)
        if request.headers["authorization"] != f"Bearer {KEY}":
            self.wrong.append("a request without the key")
        if request.headers["idempotency-key"] != said["id"]:
            self.wrong.append(f"{said['id']} came under another key")
        self.asked.append(said["id"])
        if said["id"] in self.sent:
            return 409
        self.sent[said["id"]] = said
        return 202


def killed_between_sending_and_noting(notifier: Part, phones: Phones) -> None:
    """SIGKILL while the gateway has a message that the notifier has no answer for."""
    for event in (phones.held, phones.released):
        event.clear()
    phones.holding.set()
    assert phones.held.wait(30), f"no message came; see {notifier.log}"
    notifier.kill()
    phones.holding.clear()
    phones.released.set()


def placed(fleet: Fleet) -> set[str]:
    """The ids of all events that somebody is to be told of."""
    with fleet.bucket() as bucket:
        stored = list(entries_of(bucket, "commerce/"))
    entries = [decode(content, seq) for seq, content in enumerate(stored, 1)]
    return {event.id for entry in entries for event in entry.events if event.kind == "order.placed"}


def notifier_of(fleet: Fleet, url: str) -> Part:
    program = programs.notifier(fleet._plan, "commerce", fleet._store_environment())
    told = {"GANSU_NOTICES": "http", "GANSU_NOTICES_URL": url, "GANSU_NOTICES_KEY": KEY}
    return Part(
        replace(program, environment={**program.environment, **told}),
        fleet.layout,
    )


@contextmanager
def ordering(fleet: Fleet) -> Iterator[None]:
    """A citizen orders about ten times a second, and is answered each time, for the block."""
    market = open_market(fleet, stores=1)
    owner = market.owner(fleet.doors[0])
    product = market.add_product(owner, market.stores[0], AMPLE)
    owner.close()
    citizen = Client(fleet.doors[0], fleet.token("citizen-1"))
    stopping = threading.Event()
    answers: Counter[int] = Counter()

    def order() -> None:
        body = {"lines": [{"product_id": product, "quantity": 1}]}
        while not stopping.wait(0.1):
            answers[citizen.insist("/commerce/v1/orders", body, new_key()).status] += 1

    thread = threading.Thread(target=order)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
        citizen.close()
    assert answers.keys() == {201}


@pytest.mark.proof
@pytest.mark.timeout(900)
def test_every_order_is_told_once_though_the_notifier_is_killed(
    tmp_path: Path, proof: bool
) -> None:
    chance, phones = random.Random(SEED), Phones(SEED)
    kills = KILLS_PROOF if proof else KILLS
    with Fleet(tmp_path) as fleet, StubHttp(phones.reply) as stub:
        notifier = notifier_of(fleet, f"{stub.endpoint}/v1/messages")
        notifier.start()
        try:
            with ordering(fleet):
                for number in range(kills):
                    before = len(phones.sent)
                    wait_until(lambda n=before: len(phones.sent) > n, f"see {notifier.log}")  # type: ignore[misc]
                    if number % 2:
                        time.sleep(chance.uniform(0, 0.5))
                        notifier.kill()
                    else:
                        killed_between_sending_and_noting(notifier, phones)
                    notifier.start()
                # The last one has to be at work before it is asked to end: eight at most may still
                # be on their way from the one before it.
                before = len(phones.sent)
                wait_until(lambda: len(phones.sent) > before + 8, f"see {notifier.log}")
            phones.mended = True  # each failure would cost this test five seconds
            events = placed(fleet)
            wait_until(lambda: phones.sent.keys() >= events, "every message", seconds=60)
            # What was taken and not noted comes again, in its turn; else the kills hit nothing.
            wait_until(
                lambda: len(phones.asked) - len(phones.sent) >= (kills + 1) // 2,
                "what was taken and not noted",
                seconds=60,
            )
            os.kill(notifier.pid, signal.SIGTERM)
            assert notifier._process is not None
            assert notifier._process.wait(timeout=25) == 0
        finally:
            notifier.kill()

    repeats = len(phones.asked) - len(phones.sent)
    print(
        f"\n{kills} kills: {len(events)} orders, {len(phones.asked)} requests, {repeats} repeated"
    )
    assert phones.sent.keys() == events
    assert phones.wrong == []
    assert len(events) > 20
    assert notifier.log.read_text().splitlines()[-1].endswith("stopping")
