"""Stock against a model: whatever is ordered, cancelled, refused, fulfilled and counted.

The real actions on the real engine in memory, and beside them a few lines of arithmetic that know
how it has to come out.
"""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from services.commerce import domain
from services.commerce.actions import goods, orders
from services.commerce.actions.keepers import Keeper
from services.commerce.domain import Line
from shared.errors import NOT_FOUND, Problem, Refused
from shared.storage.access import Claim
from shared.storage.database import JournalDatabase
from shared.storage.entry import decode
from shared.storage.memory import MemoryBucket, MemoryStore
from tests.support.clock import FakeClock

MERCHANTS = ("sub_m1", "sub_m2")
CITIZENS = ("sub_c1", "sub_c2")
PRICES = (100, 250, 999)

citizens = st.sampled_from(CITIZENS)
places = st.integers(0, 2)
lines = st.lists(st.tuples(places, st.integers(1, 4)), min_size=1, max_size=3)


@dataclass
class Stock:
    """What the model knows of one product."""

    on_hand: int = 0
    reserved: int = 0
    sold: int = 0


@dataclass
class Order:
    """What the model knows of one order: quantities by product, states by store."""

    id: str
    citizen: str
    quantities: dict[int, int]
    states: dict[int, str]
    key: str = ""
    claim: Claim | None = None
    body: dict[str, Any] = field(default_factory=dict)


def store_of(product: int) -> int:
    """The first two products are of the first store, the third is of the second."""
    return 0 if product < 2 else 1


class Shop(RuleBasedStateMachine):
    """Rules are what people do; invariants are looked at after each."""

    orders = Bundle("orders")

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.clock = FakeClock()
        self.bucket = MemoryBucket(self.clock)
        self.database = JournalDatabase(
            MemoryStore(self.bucket, clock=self.clock),
            domain.CATALOGUE,
            prefix="commerce/",
            directory=Path(self.directory.name),
            clock=self.clock,
        )
        self.stock = [Stock() for _ in PRICES]
        self.prices = list(PRICES)
        self.placed: list[Order] = []
        self.claims = 0

    def teardown(self) -> None:
        self.check_every_entry()
        self.clock.hurry()
        self.database.close()
        self.directory.cleanup()

    def claim(self, caller: str, route: str) -> Claim:
        self.claims += 1
        return Claim(caller, route, f"key-{self.claims}", "digest")

    def keeper(self, store: int) -> Keeper:
        return Keeper(MERCHANTS[store])

    @initialize()
    def open(self) -> None:
        place = {"division": "620103", "prefecture": "620100", "name_zh": "店", "name_en": ""}
        self.stores = [
            goods.open_store(self.database, owner, self.claim(owner, "open"), place).value.key
            for owner in MERCHANTS
        ]
        self.products = [
            goods.add_product(
                self.database,
                self.keeper(store_of(number)),
                self.stores[store_of(number)],
                self.claim("x", "add"),
                {**place, "price": price, "category": "agricultural"},
            ).value.key
            for number, price in enumerate(PRICES)
        ]

    # What people do

    @rule(product=places, delta=st.integers(-5, 12))
    def adjust(self, product: int, delta: int) -> None:
        stock = self.stock[product]
        claim = self.claim("m", "adjust")
        keeper = self.keeper(store_of(product))

        def act() -> object:
            return goods.adjust_stock(self.database, keeper, self.products[product], claim, delta)

        if stock.on_hand + delta < 0:
            assert_refused(act, domain.COUNT_TOO_LOW)
        else:
            act()
            stock.on_hand += delta

    @rule(product=places, on_hand=st.integers(0, 9))
    def count(self, product: int, on_hand: int) -> None:
        keeper, key = self.keeper(store_of(product)), self.products[product]
        seen = goods.read_stock(self.database, keeper, key).value
        goods.count_stock(self.database, keeper, key, seen.revision, on_hand)
        self.stock[product].on_hand = on_hand

    @rule(product=places, price=st.integers(1, 1000))
    def reprice(self, product: int, price: int) -> None:
        keeper, key = self.keeper(store_of(product)), self.products[product]
        seen = goods.read_product(self.database, key).value.product
        goods.change_product(self.database, keeper, key, seen.revision, {"price": price})
        self.prices[product] = price

    @rule(target=orders, citizen=citizens, wanted=lines)
    def place(self, citizen: str, wanted: list[tuple[int, int]]) -> Any:
        quantities: dict[int, int] = {}
        for product, quantity in wanted:
            quantities[product] = quantities.get(product, 0) + quantity
        asked = [Line(self.products[product], quantity) for product, quantity in wanted]
        total = sum(self.prices[product] * quantity for product, quantity in quantities.items())
        claim = self.claim(citizen, "place")
        short = [p for p, quantity in quantities.items() if self.stock[p].on_hand < quantity]
        if short:
            assert_refused(
                lambda: orders.place_order(self.database, citizen, claim, asked, total),
                domain.SOLD_OUT,
            )
            return multiple()
        assert_refused(
            lambda: orders.place_order(self.database, citizen, claim, asked, total + 1),
            domain.PRICE_CHANGED,
        )
        made = orders.place_order(self.database, citizen, claim, asked, total).value
        for product, quantity in quantities.items():
            self.stock[product].on_hand -= quantity
            self.stock[product].reserved += quantity
        states = {store_of(product): "placed" for product in quantities}
        order = Order(made.key, citizen, quantities, states, claim=claim, body=made.body)
        self.placed.append(order)
        return order

    @rule(order=orders)
    def repeat(self, order: Order) -> None:
        """The same intent again, also after the order has changed: the first answer, no effect."""
        assert order.claim is not None
        asked = [Line(self.products[p], q) for p, q in order.quantities.items()]
        again = orders.place_order(self.database, order.citizen, order.claim, asked, None)
        assert again.replayed
        assert again.value.key == order.id
        assert again.value.body == order.body

    @rule(order=orders)
    def cancel(self, order: Order) -> None:
        def act() -> object:
            claim = self.claim(order.citizen, "cancel")
            return orders.cancel_order(self.database, order.citizen, order.id, claim)

        waiting = [store for store, state in order.states.items() if state == "placed"]
        if not waiting:
            assert_refused(act, domain.NOT_CANCELLABLE)
            return
        act()
        assert_refused(act, domain.NOT_CANCELLABLE)
        for store in waiting:
            self.free(order, store)
            order.states[store] = "cancelled"

    @rule(order=orders, store=st.integers(0, 1), reason=st.sampled_from(domain.REASONS))
    def refuse(self, order: Order, store: int, reason: str) -> None:
        def act() -> object:
            return orders.refuse_order(
                self.database,
                self.keeper(store),
                self.stores[store],
                order.id,
                self.claim("m", "refuse"),
                reason,
            )

        if self.refused_unless_placed(act, order, store, domain.NOT_REFUSABLE):
            return
        act()
        assert_refused(act, domain.NOT_REFUSABLE)
        self.free(order, store)
        order.states[store] = "refused"

    def free(self, order: Order, store: int) -> None:
        """A store's part of an order no longer holds anything."""
        for product, quantity in order.quantities.items():
            if store_of(product) == store:
                self.stock[product].reserved -= quantity
                self.stock[product].on_hand += quantity

    def refused_unless_placed(self, act: Any, order: Order, store: int, problem: Problem) -> bool:
        """Whether a store cannot do that to its part; then it was refused."""
        if store not in order.states:
            assert_refused(act, NOT_FOUND)
        elif order.states[store] != "placed":
            assert_refused(act, problem)
        return order.states.get(store) != "placed"

    @rule(order=orders, store=st.integers(0, 1))
    def fulfil(self, order: Order, store: int) -> None:
        def act() -> object:
            claim = self.claim("m", "fulfil")
            return orders.fulfil_order(
                self.database, self.keeper(store), self.stores[store], order.id, claim
            )

        if self.refused_unless_placed(act, order, store, domain.NOT_FULFILLABLE):
            return
        act()
        assert_refused(act, domain.NOT_FULFILLABLE)
        for product, quantity in order.quantities.items():
            if store_of(product) == store:
                self.stock[product].reserved -= quantity
                self.stock[product].sold += quantity
        order.states[store] = "fulfilled"

    # What has to hold

    @invariant()
    def stock_is_what_the_model_says(self) -> None:
        for number, product in enumerate(getattr(self, "products", [])):
            keeper = self.keeper(store_of(number))
            body = goods.read_stock(self.database, keeper, product).value.body
            model = self.stock[number]
            assert body == {
                "received": model.on_hand + model.reserved + model.sold,
                "on_hand": model.on_hand,
                "reserved": model.reserved,
                "sold": model.sold,
            }

    @invariant()
    def orders_are_where_the_model_says(self) -> None:
        for citizen in CITIZENS:
            own = [order for order in self.placed if order.citizen == citizen]
            found = orders.list_orders(self.database, citizen, limit=100, after=None).value
            assert {hit.document.key for hit in found} == {order.id for order in own}
        for store, key in enumerate(getattr(self, "stores", [])):
            for state in domain.STATES:
                listed = orders.list_store_orders(
                    self.database, self.keeper(store), key, state, limit=100, after=None
                ).value
                expected = {o.id for o in self.placed if o.states.get(store) == state}
                assert {hit.document.key for hit in listed} == expected

    @invariant()
    def an_order_is_over_once_no_part_is_placed(self) -> None:
        for order in self.placed:
            body = orders.read_order(self.database, order.citizen, order.id).value.body
            assert ("closed_ms" in body) == ("placed" not in order.states.values())

    def check_every_entry(self) -> None:
        """The law of stock at every single entry of the journal, not only between requests."""
        store = MemoryStore(self.bucket, clock=self.clock)
        for row in store.list("commerce/journal/", limit=100_000):
            stored = store.get(row.key)
            for write in decode(stored, int(row.key[-25:-5])).writes:
                if write.collection == "stock" and write.body is not None:
                    body = _json(write.body)
                    assert min(body.values()) >= 0
                    assert body["on_hand"] + body["reserved"] + body["sold"] == body["received"]


def _json(raw: bytes) -> dict[str, int]:
    body: dict[str, int] = orjson.loads(raw)
    return body


def assert_refused(act: Any, problem: Problem) -> None:
    with pytest.raises(Refused) as refused:
        act()
    assert refused.value.problem is problem


@pytest.mark.fuzz
def test_stock_is_conserved_and_never_below_zero() -> None:
    profile = settings()
    run_state_machine_as_test(
        Shop,
        settings=settings(
            max_examples=25 if profile.derandomize else profile.max_examples,
            stateful_step_count=30,
        ),
    )
