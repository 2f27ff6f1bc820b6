"""Citizens and merchants who trade over HTTP, and remember what they were told (see crowds.py)."""

import random
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any, Protocol

from tests.support.crowds import Client, Party, Reply, new_key
from tests.support.fleet import Door
from tests.support.ledger import Ledger, Placed, Told, claim_row

Body = dict[str, Any]

_NUMBERS = count()
"""Of accounts, so that each has a rate limit of its own."""


# A market


class Grounds(Protocol):
    """Where a market is held: a fleet, or a container of the image."""

    told: Told

    @property
    def doors(self) -> Sequence[Door]: ...

    def token(self, account: str) -> str: ...

    def subject(self, account: str) -> str: ...

    def assert_books_agree(self) -> Ledger: ...


@dataclass(slots=True)
class Market:
    """Stores of one merchant, and what they sell."""

    fleet: Grounds
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

    def party(self, door: Door, *, keeps: bool) -> "Citizen":
        return Citizen(self, door, keeps=keeps)

    def keep(self, door: Door, chance: random.Random, stop: threading.Event) -> None:
        """Hand over or refuse what was ordered, and take deliveries."""
        with closing(self.owner(door)) as owner:
            while not stop.wait(chance.uniform(0.05, 0.2)):
                store = chance.choice(self.stores)
                reply = owner.ask("GET", f"/commerce/v1/stores/{store}/orders?limit=20")
                if reply is not None and reply.body["items"]:
                    end = self._refuse if chance.random() < 0.2 else self._hand_over
                    end(owner, store, chance.choice(reply.body["items"])["order_id"])
                if chance.random() < 0.3:
                    self.deliver(owner, chance.choice(self.products), 5)

    def _hand_over(self, owner: Client, store: str, order: str) -> None:
        path = f"/commerce/v1/stores/{store}/orders/{order}/fulfilment"
        self._ended(order, store, owner.insist(path, None, new_key()))

    def _refuse(self, owner: Client, store: str, order: str) -> None:
        path = f"/commerce/v1/stores/{store}/orders/{order}/refusal"
        self._ended(order, store, owner.insist(path, {"reason": "cannot_deliver"}, new_key()))

    def _ended(self, order: str, store: str, reply: Reply) -> None:
        assert reply.status in (201, 409), f"handing over or refusing was answered {reply}"
        if reply.status == 201:
            self.told.states[order, store] = reply.body["state"]

    def assert_books_agree(self) -> Ledger:
        return self.fleet.assert_books_agree()


AMPLE, SCARCE = 1_000_000, 10


def open_market(fleet: Grounds, *, stores: int, products: int = 0) -> Market:
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


class Citizen(Party):
    """One account that orders, reads and cancels."""

    def __init__(self, market: Market, door: Door, *, keeps: bool = True) -> None:
        account = f"citizen-{next(_NUMBERS)}"
        super().__init__(Client(door, market.fleet.token(account), keeps=keeps))
        self.market = market
        self.subject = market.fleet.subject(account)
        self.own: list[str] = []

    def trade(self, chance: random.Random) -> bool:
        some = chance.choice((1, 1, 1, 2, 3))
        chosen = chance.sample(self.market.products, min(some, len(self.market.products)))
        ordered = self.order({product: chance.randint(1, 3) for product in chosen})
        if self.own and chance.random() < 0.2:
            self.cancel(chance.choice(self.own))
        if self.own and chance.random() < 0.2:
            self.look(f"/commerce/v1/orders/{chance.choice(self.own[-5:])}")
        return ordered.status == 201

    def order(self, lines: dict[str, int]) -> Reply:
        """Order units of products, and record the outcome."""
        key = new_key()
        row = claim_row(self.subject, "POST /v1/orders", key)
        wanted = [{"product_id": p, "quantity": units} for p, units in lines.items()]
        record: Callable[[Reply], None] = partial(self._record, row, lines)
        return self.post("/commerce/v1/orders", {"lines": wanted}, record, key)

    def _record(self, row: str, lines: dict[str, int], reply: Reply) -> None:
        told = self.market.told
        if reply.status == 201:
            self.own.append(reply.body["id"])
            told.placed[row] = Placed(reply.body["id"], self.subject, lines)
        else:
            told.refused[row] = reply.problem

    def cancel(self, order: str) -> None:
        self.post(f"/commerce/v1/orders/{order}/cancellation", None, partial(self._gone, order))

    def _gone(self, order: str, reply: Reply) -> None:
        if reply.status == 201:
            for part in reply.body["parts"]:
                self.market.told.states[order, part["store_id"]] = part["state"]
