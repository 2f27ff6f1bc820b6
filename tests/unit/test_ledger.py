"""The auditor can fail: each law that is broken on purpose in an honest journal is named."""

from collections.abc import Callable
from contextlib import closing
from copy import deepcopy
from dataclasses import replace
from typing import Any

import orjson
import pytest

from services.commerce.actions import goods, orders
from services.commerce.actions.keepers import Keeper
from services.commerce.domain import CATALOGUE, Line
from shared.clock import SystemClock
from shared.storage.access import Claim
from shared.storage.database import JournalDatabase
from shared.storage.entry import Entry, Write, decode, digest, encode
from shared.storage.memory import MemoryStore
from tests.support.ledger import (
    Placed,
    Told,
    audit,
    claim_row,
    contradictions,
    entries_of,
)

STORE_ID = "store_sample"
OWNER = Keeper("sub_owner")
CITIZEN = "sub_citizen"
STORE = {"name_zh": "示例店", "name_en": "", "division": "620102", "owner": OWNER.subject}
PRODUCT = {"name_zh": "百合", "name_en": "Lily", "price": 4900}
LILY, WALNUT = "product_lily", "product_walnut"
PLACE = "POST /v1/orders"


class History:
    """An honest journal of a few orders, as entries that a test may forge, and what was told."""

    def __init__(self, stored: list[bytes], told: Told) -> None:
        self.entries = [decode(each, seq) for seq, each in enumerate(stored, 1)]
        self.told = told

    def stored(self) -> list[bytes]:
        """The bytes, chained anew, so that a forgery breaks no law but the one it is meant to."""
        stored: list[bytes] = []
        for seq, entry in enumerate(self.entries, 1):
            prev = digest(stored[-1]) if stored else ""
            stored.append(encode(replace(entry, seq=seq, prev=prev)))
        return stored

    def faults(self) -> str:
        return "\n".join(audit(self.stored()).faults)

    def contradictions(self) -> str:
        return "\n".join(contradictions(audit(self.stored()), self.told))

    def forge(self, number: int, collection: str, change: Callable[[Any], object]) -> None:
        """Let `change` alter, in place, the bodies of a collection in the entry at `number`."""

        def forged(write: Write) -> Write:
            if write.collection != collection:
                return write
            body = orjson.loads(write.body or b"{}")
            change(body)
            return write._replace(body=orjson.dumps(body))

        entry = self.entries[number]
        self.entries[number] = replace(entry, writes=tuple(map(forged, entry.writes)))

    def drop(self, number: int, collection: str) -> None:
        """Take the writes of a collection out of the entry at `number`."""
        entry = self.entries[number]
        kept = tuple(write for write in entry.writes if write.collection != collection)
        self.entries[number] = replace(entry, writes=kept)

    def writes(self, number: int, collection: str) -> list[Write]:
        return [write for write in self.entries[number].writes if write.collection == collection]


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[bytes], Told]:
    """A journal of five orders and what was told of them: in its last three entries the first is
    refused, the fourth cancelled and the fifth handed over.
    """
    store, told = MemoryStore(), Told()
    directory = tmp_path_factory.mktemp("replicas")
    database = JournalDatabase(
        store, CATALOGUE, prefix="", directory=directory, clock=SystemClock()
    )
    with closing(database):
        _trade(database, told)
    return list(entries_of(store, "")), told


def _trade(database: JournalDatabase, told: Told) -> None:
    products = [(LILY, PRODUCT, 10), (WALNUT, PRODUCT, 10)]
    goods.plant_store(database, STORE_ID, STORE, products)
    lines = [Line(LILY, 2), Line(WALNUT, 1)]
    for number in range(5):
        key = f"key-{number}"
        made = orders.place_order(database, CITIZEN, claim(PLACE, key), lines, None).value
        known = Placed(made.key, CITIZEN, {LILY: 2, WALNUT: 1})
        told.placed[claim_row(CITIZEN, PLACE, key)] = known
    placed = [each.order for each in told.placed.values()]
    refusal = claim("refuse", "r")
    orders.refuse_order(database, OWNER, STORE_ID, placed[0], refusal, "out_of_stock")
    orders.cancel_order(database, CITIZEN, placed[3], claim("cancel", "c"))
    orders.fulfil_order(database, OWNER, STORE_ID, placed[4], claim("fulfil", "f"))
    ends = {0: "refused", 3: "cancelled", 4: "fulfilled"}
    told.states = {(placed[number], STORE_ID): state for number, state in ends.items()}
    told.received.update({LILY: 10, WALNUT: 10})
    told.refused[claim_row(CITIZEN, PLACE, "key-9")] = "sold-out"


@pytest.fixture
def history(honest: tuple[list[bytes], Told]) -> History:
    """The honest journal, to be forged."""
    return History(*deepcopy(honest))


def claim(route: str, key: str) -> Claim:
    return Claim(CITIZEN, route, key, digest="")


ORDER = -6  # the third order: neither refused nor cancelled nor handed over


def test_an_honest_journal_breaks_no_law(history: History) -> None:
    assert history.faults() == ""
    assert history.contradictions() == ""
    assert len(history.entries) == 10


def test_an_oversell_is_a_fault(history: History) -> None:
    history.forge(ORDER, "stock", lambda stock: stock.update(on_hand=-1, reserved=11))
    assert "oversold" in history.faults()


def test_a_leak_is_a_fault_even_where_a_later_entry_mends_it(history: History) -> None:
    history.forge(ORDER, "stock", lambda stock: stock.update(on_hand=stock["on_hand"] + 1))
    assert f"entry {len(history.entries) + ORDER + 1}: {LILY} leaks" in history.faults()


def test_stock_that_no_order_explains_is_a_fault(history: History) -> None:
    def hold_more(stock: dict[str, int]) -> None:
        stock.update(on_hand=stock["on_hand"] - 1, reserved=stock["reserved"] + 1)

    history.forge(ORDER, "stock", hold_more)
    assert "orders say" in history.faults()


def test_an_order_without_its_stock_is_a_fault(history: History) -> None:
    history.drop(ORDER, "stock")
    assert "orders say" in history.faults()


def test_stock_without_its_order_is_a_fault(history: History) -> None:
    history.drop(ORDER, "orders")
    assert "do not go together" in history.faults()
    assert "orders say" in history.faults()


def test_an_order_that_a_store_does_not_see_is_a_fault(history: History) -> None:
    history.drop(ORDER, "consignments")
    assert "is not what store" in history.faults()


def test_an_order_under_no_key_is_a_fault(history: History) -> None:
    history.drop(ORDER, "idempotency")
    assert "placed under 0 keys" in history.faults()


def test_a_key_that_is_answered_twice_is_a_fault(history: History) -> None:
    (before,) = history.writes(ORDER - 1, "idempotency")
    entry = history.entries[ORDER]
    again = tuple(
        write._replace(key=before.key) if write.collection == "idempotency" else write
        for write in entry.writes
    )
    history.entries[ORDER] = replace(entry, writes=again)
    assert f"key {before.key} is answered twice" in history.faults()


def test_an_order_that_is_stored_twice_is_a_fault(history: History) -> None:
    """As a writer would leave it that repeats an entry whose reply it lost."""
    entry = history.entries[ORDER]
    history.entries.insert(ORDER, replace(entry, commit="commit_again"))
    assert "goes back to an older revision" in history.faults()
    assert "do not go together" in history.faults()


def test_an_entry_that_is_stored_twice_is_a_fault(history: History) -> None:
    history.entries.insert(ORDER, history.entries[ORDER])
    assert "repeats commit" in history.faults()


def test_an_order_that_goes_is_a_fault(history: History) -> None:
    (order,) = history.writes(ORDER, "orders")
    gone = Write("orders", order.key, order.revision + (1 << 40), 1, None)
    history.entries.append(Entry(0, "commit_last", "w", "", 1 << 52, writes=(gone,)))
    assert f"order {order.key} is deleted" in history.faults()


def test_an_order_that_changes_its_lines_is_a_fault(history: History) -> None:
    history.forge(-2, "orders", lambda order: order["parts"][0]["lines"].pop())
    assert "other contents" in history.faults()


def test_a_part_that_ends_twice_is_a_fault(history: History) -> None:
    """As a store would leave it that hands over what was cancelled before."""
    history.forge(-4, "orders", lambda order: order["parts"][0].update(state="cancelled"))
    assert "is cancelled, then fulfilled" in history.faults()


def test_time_that_goes_back_is_a_fault(history: History) -> None:
    history.entries[ORDER] = replace(history.entries[ORDER], time_ms=1)
    assert "is older than the entry before it" in history.faults()


def test_another_history_behind_an_entry_is_a_fault(history: History) -> None:
    stored = history.stored()
    stored[3] = stored[3].replace(b"sub_citizen", b"sub_another")
    assert "entry 5: does not follow the entry before it" in audit(stored).faults


def test_noise_is_a_fault(history: History) -> None:
    stored = history.stored()
    stored[3] = stored[3][:-1]
    assert "entry 4: cannot be read" in "\n".join(audit(stored).faults)


def test_a_lost_acknowledged_order_contradicts(history: History) -> None:
    del history.entries[ORDER:]
    assert history.faults() == ""
    assert "was acknowledged and is lost" in history.contradictions()


def test_an_order_whose_buyer_was_refused_contradicts(history: History) -> None:
    row = claim_row(CITIZEN, PLACE, "key-2")
    del history.told.placed[row]
    history.told.refused[row] = "sold-out"
    assert f"{row} was refused, yet order" in history.contradictions()


def test_an_order_that_nobody_was_told_of_contradicts(history: History) -> None:
    del history.told.placed[claim_row(CITIZEN, PLACE, "key-2")]
    assert "nobody was told of it" in history.contradictions()


def test_one_order_for_two_keys_contradicts(history: History) -> None:
    one, other = list(history.told.placed)[:2]
    history.told.placed[one] = history.told.placed[other]
    assert "told to more than one key" in history.contradictions()
    assert f"key {one} was told" in history.contradictions()


def test_another_order_than_was_asked_for_contradicts(history: History) -> None:
    row, placed = next(iter(history.told.placed.items()))
    history.told.placed[row] = replace(placed, lines={LILY: 3, WALNUT: 1})
    assert "is not what was ordered" in history.contradictions()


def test_a_cancellation_that_did_not_last_contradicts(history: History) -> None:
    states = history.told.states
    (cancelled,) = [order for (order, _), state in states.items() if state == "cancelled"]
    del history.entries[-2]
    assert f"order {cancelled} was told to be cancelled and is placed" in history.contradictions()


def test_a_delivery_that_is_missing_contradicts(history: History) -> None:
    history.told.received[LILY] += 5
    assert f"{LILY}: 15 units were added" in history.contradictions()
