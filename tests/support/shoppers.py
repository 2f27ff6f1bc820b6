"""Citizens and merchants who trade over HTTP as careful apps do, and remember what they were told.

Whoever gets no definite answer (503, 502, 504, 429, a timeout, a lost connection) asks again with
the same Idempotency-Key until there is one. A refusal that follows an indefinite answer is not
definite either: the earlier attempt may still be under way somewhere, and refusals are not
remembered. Such intents are `unsure` until `settle` asks once more, when nothing is under way.
"""

import json
import random
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection, HTTPException
from itertools import count, pairwise
from typing import Any

from tests.support.fleet import Door, Fleet
from tests.support.ledger import Placed, Told, claim_row
from tests.support.waiting import wait_until

Body = dict[str, Any]

_LATER = frozenset({429, 502, 503, 504})
_PAUSE_SECONDS = 0.2
_INSISTING_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Reply:
    """A definite answer. `sure` is false for a refusal that came after an indefinite one."""

    status: int
    body: Body
    sure: bool = True

    @property
    def problem(self) -> str:
        """The slug of the problem that it is."""
        return str(self.body["type"]).rpartition("/")[2]


class Client:
    """One account at one door, one request at a time, over one connection while it `keeps` it."""

    def __init__(self, door: Door, token: str, *, keeps: bool = True) -> None:
        self._door = door
        self._token = token
        self._keeps = keeps
        self._connection: HTTPConnection | None = None
        self.slowest_seconds = 0.0

    def ask(self, method: str, path: str, body: Body | None = None, key: str = "") -> Reply | None:
        """The answer to one request; None where it is not definite."""
        headers = {"Authorization": f"Bearer {self._token}"}
        if key:
            headers["Idempotency-Key"] = key
        if body is not None:
            headers["Content-Type"] = "application/json"
        sent = None if body is None else json.dumps(body).encode()
        if self._connection is None:
            self._connection = self._door.connection()
        began = time.monotonic()
        try:
            self._connection.request(method, path, sent, headers)
            answer = self._connection.getresponse()
            received = answer.read()
            if not self._keeps:
                self.close()
        except (OSError, HTTPException):
            self.close()
            return None
        finally:
            self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - began)
        if answer.status in _LATER:
            return None
        return Reply(answer.status, json.loads(received))

    def insist(self, path: str, body: Body | None, key: str) -> Reply:
        """POST until there is a definite answer."""
        deadline = time.monotonic() + _INSISTING_SECONDS
        sure = True
        while (reply := self.ask("POST", path, body, key)) is None:
            sure = False
            assert time.monotonic() < deadline, f"no answer to POST {path}"
            time.sleep(_PAUSE_SECONDS)
        return reply if sure or reply.status == 201 else Reply(reply.status, reply.body, sure=False)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


_NUMBERS = count()
"""Of accounts, so that each has a rate limit of its own."""


def new_key() -> str:
    return uuid.uuid4().hex


# A market


@dataclass(slots=True)
class Market:
    """Stores of one merchant, and what they sell."""

    fleet: Fleet
    merchant: str
    stores: list[str] = field(default_factory=list)
    products: list[str] = field(default_factory=list)
    _delivering: threading.Lock = field(default_factory=threading.Lock)

    @property
    def told(self) -> Told:
        return self.fleet.told

    def owner(self, door: Door) -> Client:
        """The merchant, at a door."""
        return Client(door, self.fleet.token(self.merchant))

    def add_store(self, owner: Client) -> str:
        body = {"name_zh": "示例店", "name_en": "Sample", "division": "620102"}
        store = _made(owner.insist("/commerce/v1/stores", body, new_key()))
        self.stores.append(store)
        return store

    def add_product(self, owner: Client, store: str, units: int) -> str:
        body = {
            "name_zh": "兰州百合",
            "category": "agricultural",
            "division": "620102",
            "price": {"amount": 4900, "currency": "CNY"},
        }
        product = _made(owner.insist(f"/commerce/v1/stores/{store}/products", body, new_key()))
        self.products.append(product)
        if units:
            self.deliver(owner, product, units)
        return product

    def deliver(self, owner: Client, product: str, units: int) -> None:
        """Add units to a product's stock."""
        path = f"/commerce/v1/products/{product}/stock/adjustments"
        _expect(owner.insist(path, {"delta": units}, new_key()), 201)
        with self._delivering:
            self.told.received[product] += units


AMPLE, SCARCE = 1_000_000, 10


def open_market(fleet: Fleet, *, stores: int, products: int = 0) -> Market:
    """A merchant's `stores`, each with `products` that never run out but for the last of them."""
    market = Market(fleet, f"merchant-{next(_NUMBERS)}")
    owner = market.owner(fleet.doors[0])
    for _ in range(stores):
        store = market.add_store(owner)
        for number in range(products):
            market.add_product(owner, store, SCARCE if number == products - 1 else AMPLE)
    owner.close()
    return market


def _expect(reply: Reply, status: int) -> Reply:
    assert reply.status == status, reply
    return reply


def _made(reply: Reply) -> str:
    return str(_expect(reply, 201).body["id"])


# Those who trade there


@dataclass(frozen=True, slots=True)
class _Order:
    """An intent to order, until it is answered for good."""

    row: str
    key: str
    lines: dict[str, int]

    @property
    def body(self) -> Body:
        lines = [{"product_id": p, "quantity": units} for p, units in self.lines.items()]
        return {"lines": lines}


class Citizen:
    """One account that orders, reads and cancels."""

    def __init__(self, market: Market, door: Door, *, keeps: bool = True) -> None:
        account = f"citizen-{next(_NUMBERS)}"
        self.market = market
        self.subject = market.fleet.subject(account)
        self.client = Client(door, market.fleet.token(account), keeps=keeps)
        self.unsure: list[_Order] = []
        self.surprises: list[str] = []
        self.own: list[str] = []

    def order(self, lines: dict[str, int]) -> Reply:
        """Order units of products, and record the outcome."""
        key = new_key()
        wanted = _Order(claim_row(self.subject, "POST /v1/orders", key), key, lines)
        reply = self.client.insist("/commerce/v1/orders", wanted.body, key)
        self._record(wanted, reply)
        return reply

    def _record(self, wanted: _Order, reply: Reply) -> None:
        told = self.market.told
        if reply.status == 201:
            self.own.append(reply.body["id"])
            told.placed[wanted.row] = Placed(reply.body["id"], self.subject, wanted.lines)
        elif reply.status != 409:
            self.surprises.append(f"ordering was answered {reply}")
        elif reply.sure:
            told.refused[wanted.row] = reply.problem
        else:
            self.unsure.append(wanted)

    def settle(self) -> None:
        """Learn what became of the unsure. To be called when no request is under way anywhere."""
        unsure, self.unsure = self.unsure, []
        for wanted in unsure:
            reply = self.client.insist("/commerce/v1/orders", wanted.body, wanted.key)
            self._record(wanted, reply)
        self.client.close()
        assert not self.unsure, "the platform is still not steady"

    def cancel(self, order: str) -> None:
        reply = self.client.insist(f"/commerce/v1/orders/{order}/cancellation", None, new_key())
        if reply.status == 201:
            for part in reply.body["parts"]:
                self.market.told.states[order, part["store_id"]] = "cancelled"
        elif reply.status != 409:
            self.surprises.append(f"cancelling was answered {reply}")

    def look(self, order: str) -> None:
        """Read an own order: what was acknowledged is there, at once, behind every door."""
        reply = self.client.ask("GET", f"/commerce/v1/orders/{order}")
        if reply is not None and reply.status != 200:
            self.surprises.append(f"an acknowledged order was answered {reply}")


class Crowd:
    """Citizens, and a merchant, who trade until told to stop. A seed repeats their intents."""

    def __init__(
        self,
        market: Market,
        doors: Sequence[Door],
        *,
        citizens: int,
        seed: int,
        keeps: bool = True,
    ) -> None:
        self.market = market
        self.citizens = [
            Citizen(market, doors[number % len(doors)], keeps=keeps) for number in range(citizens)
        ]
        self.acknowledged: list[list[float]] = [[] for _ in doors]
        self.failures: list[str] = []
        self._owner = market.owner(doors[0])
        self._stop = threading.Event()
        runs: list[Callable[[], None]] = [
            partial(self._shop, citizen, random.Random(f"{seed}-{number}"), number % len(doors))
            for number, citizen in enumerate(self.citizens)
        ]
        runs.append(partial(self._keep, random.Random(f"{seed}-merchant")))
        self._threads = [threading.Thread(target=self._watched, args=(run,)) for run in runs]

    def __enter__(self) -> "Crowd":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Let everyone finish what they are at."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def settle(self) -> None:
        """Resolve what is unsure; fail if anybody was surprised."""
        for citizen in self.citizens:
            citizen.settle()
        assert self.failures == []
        assert [each for citizen in self.citizens for each in citizen.surprises] == []

    def await_trade(self, seconds: float = 40) -> None:
        """Return once an order was begun and acknowledged behind every door from now on."""
        # Of the next ones, as many as there are citizens may have been begun before.
        begun = len(self.citizens) // len(self.acknowledged)
        enough = [len(times) + begun for times in self.acknowledged]
        wait_until(
            lambda: all(len(times) > n for times, n in zip(self.acknowledged, enough, strict=True)),
            "orders are acknowledged again",
            seconds=seconds,
        )

    def longest_gap(self, since: float, until: float) -> float:
        """The longest time, in seconds, in which no order was acknowledged behind some door."""
        gaps: list[float] = []
        for door in self.acknowledged:
            within = [since, *(at for at in list(door) if since < at < until), until]
            gaps += [after - before for before, after in pairwise(sorted(within))]
        return max(gaps)

    @property
    def slowest_seconds(self) -> float:
        """The longest that a citizen waited for any answer."""
        return max(citizen.client.slowest_seconds for citizen in self.citizens)

    def _watched(self, run: Callable[[], None]) -> None:
        try:
            run()
        except Exception as error:  # noqa: BLE001 - it is the test's thread that has to fail
            self.failures.append(repr(error))

    def _shop(self, citizen: Citizen, chance: random.Random, door: int) -> None:
        while not self._stop.is_set():
            count = chance.choice((1, 1, 1, 2, 3))
            chosen = chance.sample(self.market.products, min(count, len(self.market.products)))
            if citizen.order({p: chance.randint(1, 3) for p in chosen}).status == 201:
                self.acknowledged[door].append(time.monotonic())
            if citizen.own and chance.random() < 0.2:
                citizen.cancel(chance.choice(citizen.own))
            if citizen.own and chance.random() < 0.2:
                citizen.look(chance.choice(citizen.own[-5:]))
            self._stop.wait(chance.uniform(0, 0.03))
        citizen.client.close()

    def _keep(self, chance: random.Random) -> None:
        """Hand over what was ordered, and take deliveries."""
        while not self._stop.wait(chance.uniform(0.05, 0.2)):
            store = chance.choice(self.market.stores)
            reply = self._owner.ask("GET", f"/commerce/v1/stores/{store}/orders?limit=20")
            if reply is not None and reply.body["items"]:
                self._hand_over(store, chance.choice(reply.body["items"])["order_id"])
            if chance.random() < 0.3:
                self.market.deliver(self._owner, chance.choice(self.market.products), 5)
        self._owner.close()

    def _hand_over(self, store: str, order: str) -> None:
        path = f"/commerce/v1/stores/{store}/orders/{order}/fulfilment"
        reply = self._owner.insist(path, None, new_key())
        if reply.status == 201:
            self.market.told.states[order, store] = "fulfilled"
        elif reply.status != 409:
            self.failures.append(f"handing over was answered {reply}")
