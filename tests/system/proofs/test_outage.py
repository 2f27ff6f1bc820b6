"""A store that is killed, frozen, or takes no writes, under load: reads live on, nobody queues for
nothing, no container leaves its service, and it all ends by itself, with nothing lost or doubled.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from typing import Any

import pytest

from services.commerce.actions.goods import PUBLIC
from tests.support.crowds import Crowd, new_key
from tests.support.fault_proxy import Forward
from tests.support.fleet import Container, Door, Fleet
from tests.support.ledger import claim_row
from tests.support.shoppers import Citizen, Market, open_market
from tests.support.waiting import wait_until

CITIZENS = 6
SEED = 130131
ASKED = 8

ANSWER_SECONDS = 4.0
"""Less than anybody waits for a word from the store: whoever is answered has not waited for it."""


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer; status 0 where none came in time."""

    status: int
    headers: dict[str, str]
    body: Any


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("outage"), containers=2, faults=True) as running:
        yield running


@pytest.fixture(scope="module")
def market(fleet: Fleet) -> Market:
    return open_market(fleet, stores=1, products=3)


def ask(
    door: Door, method: str, path: str, body: Any = None, seconds: float = 30, **headers: str
) -> Heard:
    connection = door.connection(seconds)
    sent = None if body is None else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if sent is not None:
        named["Content-Type"] = "application/json"
    try:
        connection.request(method, f"/commerce{path}", sent, named)
        answer = connection.getresponse()
        told = json.loads(answer.read())
        return Heard(answer.status, dict(answer.getheaders()), told)
    except (OSError, HTTPException):
        return Heard(0, {}, None)
    finally:
        connection.close()


def refuse_writes(forward: Forward) -> bytes:
    """The store is full, and says so."""
    return b"HTTP/1.1 507 Insufficient Storage\r\ncontent-length: 0\r\n\r\n"


@contextmanager
def killed(fleet: Fleet) -> Iterator[None]:
    fleet.store.kill()
    try:
        yield
    finally:
        fleet.store.start()


@contextmanager
def read_only(fleet: Fleet) -> Iterator[None]:
    assert fleet.proxy is not None
    fleet.proxy.inject(refuse_writes, method="PUT", path="/journal/", times=100_000)
    try:
        yield
    finally:
        fleet.proxy.forget()


OUTAGES: dict[str, tuple[Callable[[Fleet], AbstractContextManager[None]], str]] = {
    "killed": (killed, "store"),
    "frozen": (lambda fleet: fleet.store.frozen(), "store"),
    "takes no writes": (read_only, "writes"),
}
"""Each with the check that has to say so."""


def degraded(container: Container) -> set[str]:
    """What a container says is not as it should be; it has to be in service, and alive."""
    ready = ask(container.door, "GET", "/health/ready", seconds=ANSWER_SECONDS)
    assert ready.status == 200, f"{container.program.name} left its service: {ready}"
    live = ask(container.door, "GET", "/health/live", seconds=ANSWER_SECONDS)
    assert live.status == 200, "a restart would not help"
    return {check["name"] for check in ready.body["checks"] if check["state"] != "ok"}


def in_a_row(is_so: Callable[[], bool], container: Container, what: str) -> None:
    """Wait until it is so six times in a row: of each process of a container, then."""
    seen = 0

    def often() -> bool:
        nonlocal seen
        seen = seen + 1 if is_so() else 0
        return seen >= 6

    wait_until(often, f"{container.program.name} {what}", seconds=60)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", OUTAGES)
def test_reads_live_on_writes_are_refused_at_once_and_it_ends(
    fleet: Fleet, market: Market, kind: str
) -> None:
    outage, check = OUTAGES[kind]
    for container in fleet.containers:
        # One process has said so. One that opens its database only now would have nothing to serve.
        in_a_row(container.door.is_ready, container, "is ready")
    me = Me(market, fleet.doors[0])
    for container in fleet.containers:
        # Reads go round: one that nobody asks follows nothing, and could never prove this order.
        me.look_up(container.door)

    with Crowd(market, fleet.doors[:1], citizens=CITIZENS, seed=SEED) as crowd:
        crowd.await_trade()
        with outage(fleet):
            for container in fleet.containers:
                # Each of its processes has to learn it for itself.
                def is_known(container: Container = container) -> bool:
                    if check == "writes":  # the gateway sends all of them to one container
                        me.place(container.door)
                    return check in degraded(container)

                in_a_row(is_known, container, "knows")
            # What was known a moment ago is as young as a public answer may be, and has no age.
            time.sleep(PUBLIC.bound_seconds)
            for container in fleet.containers:
                me.look_around(container.door, away=check == "store")
        crowd.await_trade(60)
        for container in fleet.containers:

            def is_well(container: Container = container) -> bool:
                if check == "writes":
                    me.place(container.door)
                return not degraded(container)

            wait_until(is_well, f"{container.program.name} is well again", seconds=90)
    me.repeat_all()
    crowd.settle()
    market.assert_books_agree()


class Me:
    """A citizen with one order, who asks for all there is while it lasts."""

    def __init__(self, market: Market, door: Door) -> None:
        self._citizen = Citizen(market, door, keeps=False)
        self._lines = {market.products[0]: 1}
        self._body = {"lines": [{"product_id": market.products[0], "quantity": 1}]}
        self._bearer = f"Bearer {self._citizen.client._token}"
        self._keys: list[str] = []
        self._own = f"/v1/orders/{self._citizen.order(self._lines).body['id']}"
        seen = ask(door, "GET", self._own, Authorization=self._bearer)
        self._seq = seen.headers["Commit-Seq"]

    def look_around(self, door: Door, *, away: bool) -> None:
        """What is answered and what is not."""
        in_time = 0
        for _ in range(ASKED):
            shown = ask(door, "GET", "/v1/products?limit=1", seconds=ANSWER_SECONDS)
            assert shown.status == 200, shown
            assert ("Age" in shown.headers) == away
            assert not away or shown.headers["Cache-Control"] == "no-cache"

            self.look_up(door)

            placed = self.place(door)
            assert placed.status in (0, 503), placed
            if placed.status:
                assert placed.body["type"] == "/problems/busy"
                assert int(placed.headers["Retry-After"]) >= 1
            fresh = self._get(door)
            assert fresh.status in ((0, 503) if away else (200,)), fresh
            in_time += placed.status == 503
        # One now and then may be the one that tries.
        assert in_time >= ASKED * 2 // 3, f"{in_time} of {ASKED} were answered at once"

    def look_up(self, door: Door) -> None:
        """Read the order, at the entry that has it or a later one."""
        known = self._get(door, Commit_Seq=self._seq)
        assert known.status == 200, known

    def place(self, door: Door) -> Heard:
        """Order, once."""
        self._keys.append(new_key())
        return ask(
            door,
            "POST",
            "/v1/orders",
            self._body,
            seconds=ANSWER_SECONDS,
            Authorization=self._bearer,
            Idempotency_Key=self._keys[-1],
        )

    def repeat_all(self) -> None:
        """Each refusal left it open whether the order was taken; its repetition says so, once."""
        for key in self._keys:
            row = claim_row(self._citizen.subject, "POST /v1/orders", key)
            record = partial(self._citizen._record, row, self._lines)
            assert self._citizen.post("/commerce/v1/orders", self._body, record, key).status == 201
        self._citizen.settle()

    def _get(self, door: Door, **headers: str) -> Heard:
        return ask(
            door, "GET", self._own, seconds=ANSWER_SECONDS, Authorization=self._bearer, **headers
        )
