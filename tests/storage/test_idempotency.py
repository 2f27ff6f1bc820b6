"""One client intent is carried out once, however often, wherever and whenever it is sent."""

from collections import Counter
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shared import errors
from shared.storage.access import Change, Claim, Committed, Document, Transaction
from shared.storage.idempotency import KEPT_MS, ROWS, TRIMMED_MAX, once, row_of
from shared.storage.memory import Fault, drop, lose_reply, refuse
from shared.storage.objects import Exists, Uncertain
from shared.storage.rounds import HOLD_SECONDS
from tests.storage.world import (
    JOURNAL,
    SOLD_OUT,
    Caller,
    Container,
    World,
    add_stock,
    claim,
    key,
    note,
    problem,
    sell,
    together,
)

HOURS = KEPT_MS / 3_600_000


def order(container: Container, name: str, **options: str) -> Committed[Document]:
    return container.database.transact_once(claim(name, **options), sell("lily"))


def rows(container: Container) -> set[str]:
    container.probe()
    return {key for collection, key, *_ in container.dump() if collection == ROWS.name}


@pytest.fixture
def stocked(here: Container, there: Container) -> tuple[Container, Container]:
    here.database.transact(add_stock("lily", 100))
    return here, there


Pairing = tuple[Container, Container]


def test_a_repetition_gets_the_same_answer(stocked: Pairing, world: World) -> None:
    here, there = stocked
    first = order(here, "k")
    again, elsewhere = order(here, "k"), order(there, "k")

    assert not first.replayed
    assert again.replayed
    assert elsewhere.replayed
    assert again.value == elsewhere.value == first.value
    assert world.head() == 3
    assert here.store.count("get", key(first.seq)) == 0, "the document is at hand"


def test_concurrent_duplicates_wait_for_the_first_and_get_its_answer(
    stocked: Pairing, world: World
) -> None:
    here, there = stocked
    other = here.process()
    databases = [here.database, other, there.database] * 5
    answers = together(*(lambda d=d: d.transact_once(claim("k"), sell("lily")) for d in databases))

    done = [answer for answer in answers if isinstance(answer, Committed)]
    assert len(done) == 15
    assert {answer.value.key for answer in done} == {done[0].value.key}
    assert [answer.replayed for answer in done].count(False) == 1
    stock = here.database.read(lambda view: view.require("stock", "lily")).value
    assert stock.body["sold"] == 1


@pytest.mark.parametrize(
    "other",
    [
        Claim("someone else", "orders.place", "k", "d"),
        Claim("citizen", "orders.cancel", "k", "d"),
        Claim("citizen", "orders.place", "k2", "d"),
        Claim("citizenorders", ".place", "k", "d"),
    ],
)
def test_another_caller_route_or_key_is_another_intent(stocked: Pairing, other: Claim) -> None:
    here, _ = stocked
    first = order(here, "k")
    second = here.database.transact_once(other, sell("lily"))

    assert not second.replayed
    assert second.value.key != first.value.key


TIMED = "019c1f2a-7b3d-7c4e-8d5f-6a7b8c9d0e1f"
"""A UUIDv7, as apps are asked to send."""


@pytest.mark.parametrize(
    "other",
    [
        Claim("someone else", "orders.place", TIMED, "d"),
        Claim("citizen", "orders.cancel", TIMED, "d"),
        Claim("citizen", "orders.place", TIMED.replace("6a7b", "6a7c"), "d"),
        Claim("citizen", "orders.place", TIMED.replace("-", ""), "d"),
        Claim("citizen", "orders.place", TIMED.upper(), "d"),
    ],
)
def test_what_shares_no_more_than_a_time_is_another_intent(stocked: Pairing, other: Claim) -> None:
    here, there = stocked
    first = order(here, TIMED)
    second = here.database.transact_once(other, sell("lily"))

    assert not second.replayed
    assert second.value.key != first.value.key
    assert order(there, TIMED).value == first.value


def test_rows_stand_in_the_order_of_the_times_in_their_keys() -> None:
    """Side by side, a batch's rows share pages of the replica."""
    times = [0x019C_0000_0000 + ms for ms in (0, 1, 0xFFFF, 0x1_0000, 0x1_0001, 0x2_0000)]
    keys = [f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-7abc-8abc-{ms:012x}" for ms in times]
    names = [row_of(claim(key))[1] for key in keys]

    assert names == sorted(names)
    assert row_of(claim(keys[2].upper()))[1][:12] == names[2][:12]
    assert {len(name) for name in names} == {len(row_of(claim("k"))[1])} == {40}
    for like in (
        "01380013-8000-4abc-8abc-000000000000",
        "01380013-8000-7abc-cabc-000000000000",
        "13800138-0001-7000-8000-000000000000",
    ):
        assert like.replace("-", "")[:12] not in row_of(claim(like))[1], "no UUIDv7 of our time"


def test_a_key_used_for_another_request_is_refused(stocked: Pairing, world: World) -> None:
    here, there = stocked
    order(here, "k", digest="one")

    for container in (here, there):
        outcome = Caller(lambda c=container: order(c, "k", digest="two")).outcome()  # type: ignore[misc]
        assert problem(outcome) == errors.KEY_REUSED
    assert world.head() == 3
    assert order(here, "k", digest="one").replayed


def test_a_refusal_is_not_remembered(stocked: Pairing) -> None:
    here, there = stocked
    here.database.transact(add_stock("rose", 0))
    rose = claim("k")
    outcome = Caller(lambda: here.database.transact_once(rose, sell("rose"))).outcome()
    assert problem(outcome) == SOLD_OUT
    there.database.transact(add_stock("rose", 1))

    assert not here.database.transact_once(rose, sell("rose")).replayed
    assert there.database.transact_once(rose, sell("rose")).replayed
    assert rows(here) == rows(there)
    assert len(rows(here)) == 1


def price(text: str) -> Change[Document]:
    return lambda tx: tx.put("notes", "price", {"text": text})


def forget(tx: Transaction) -> None:
    tx.delete("notes", "price")


@pytest.mark.parametrize("later", [price("later"), forget], ids=["changed", "deleted"])
def test_a_repetition_gives_the_document_as_it_was(stocked: Pairing, later: Change[Any]) -> None:
    here, there = stocked
    first = here.database.transact_once(claim("k"), price("first"))
    here.database.transact(later)

    for container in (here, there):
        again = container.database.transact_once(claim("k"), price("first"))
        assert again.replayed
        assert again.value == first.value


@pytest.mark.parametrize("later", [price("later"), forget], ids=["changed", "deleted"])
def test_a_repetition_gives_the_document_as_it_was_though_it_changed_at_once(
    stocked: Pairing, later: Change[Any]
) -> None:
    here, there = stocked
    with here.one_batch() as queue:
        first = queue(once(claim("k"), price("first")))
        then = queue(later)

    # Only an answered claim is repeated: before that, this container may well be the first.
    answered = first.value().value.document
    then.value()

    again = there.database.transact_once(claim("k"), price("first"))
    assert again.replayed
    assert again.value == answered


def test_a_repetition_while_the_store_is_away_is_busy_not_wrong(stocked: Pairing) -> None:
    here, _ = stocked
    first = here.database.transact_once(claim("k"), price("first"))
    here.database.transact(price("later"))
    seq = first.seq
    here.store.inject("get", refuse(Uncertain("500")), key=f"{JOURNAL}{seq:020d}")

    outcome = Caller(lambda: here.database.transact_once(claim("k"), price("first"))).outcome()
    assert problem(outcome) == errors.BUSY
    assert here.database.transact_once(claim("k"), price("first")).value == first.value


def test_rows_are_kept_for_72_hours_and_trimmed_a_hundred_at_a_time(
    stocked: Pairing, world: World
) -> None:
    here, _ = stocked
    for number in range(TRIMMED_MAX * 2 + 30):
        here.database.transact_once(claim(f"old{number}"), note(f"n{number}"))
    world.pass_wall(hours=HOURS, seconds=-1)
    young = here.database.transact_once(claim("young"), sell("lily"))
    assert order(here, "old0").replayed, "a second before its time"
    left = []
    world.pass_wall(seconds=1)
    for number in range(4):
        here.database.transact(note("tick", str(number)))
        left.append(len(rows(here)))

    assert left == [131, 31, 1, 1]
    assert order(here, "young").value == young.value
    assert not order(here, "old0").replayed, "the contract's 72 hours are over"


def test_trimming_alone_writes_no_entry(stocked: Pairing, world: World) -> None:
    here, _ = stocked
    order(here, "k")
    world.pass_wall(hours=HOURS + 1)
    outcome = Caller(lambda: here.database.transact(sell("none"))).outcome()

    assert problem(outcome) == errors.NOT_FOUND
    assert world.head() == 3


def test_nothing_of_the_request_or_the_key_is_stored(stocked: Pairing, world: World) -> None:
    """Invariant 13: keys hold no personal data, whatever a client put into them."""
    here, _ = stocked
    key = "Li-Baihe-13893100000"
    here.database.transact_once(Claim("citizen-7", "orders.place", key, "keyed"), note("n"))

    journal = b"".join(world.stored())
    assert key.encode() not in journal
    assert b"citizen-7" not in journal


FAULTS: list[Fault] = [drop, lose_reply, refuse(Exists("409"))]
STEP = st.tuples(st.sampled_from("ABC"), st.integers(0, 3))
ROUND = st.tuples(
    st.lists(STEP, min_size=1, max_size=5), st.lists(st.sampled_from([0, 1, 2]), max_size=3)
)
_numbers = count()


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("shops"))
    world.container("here")
    world.container("there")
    world.containers[0].process()
    world.containers[0].database.transact(add_stock("lily", 1_000_000))
    yield world
    world.close()


@pytest.mark.fuzz
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ROUND, min_size=1, max_size=5))
@example([([("A", 0)], [0, 0, 0]), ([("A", 1)], [0, 0, 0])])
def test_any_interleaving_carries_out_each_claim_once(
    shops: World, rounds: list[tuple[list[tuple[str, int]], list[int]]]
) -> None:
    """Duplicates at once and one after another, in two processes and two containers, while
    requests and replies of the store get lost."""
    here, there = shops.containers
    databases = {"A": here.database, "B": here.processes[1], "C": there.database}
    example = next(_numbers)
    answers: dict[int, list[Committed[Document]]] = {}

    def place(name: str, intent: int) -> tuple[int, Committed[Document]]:
        return intent, databases[name].transact_once(claim(f"{example}-{intent}"), sell("lily"))

    def note_answers(outcomes: list[Any]) -> None:
        for outcome in outcomes:
            if not isinstance(outcome, Exception):
                answers.setdefault(outcome[0], []).append(outcome[1])
            else:
                assert problem(outcome) == errors.BUSY

    for steps, faults in rounds:
        for fault in faults:
            (here, there)[fault % 2].store.inject("create", FAULTS[fault], key=JOURNAL)
        note_answers(together(*(lambda n=n, i=i: place(n, i) for n, i in steps)))
    for container in (here, there):
        container.store._faults.clear()
        # Where two rounds in a row had failed, nobody is let in for a moment.
        container.clock.pass_monotonic(HOLD_SECONDS)
    intents = {intent for steps, _ in rounds for _, intent in steps}
    note_answers([place(name, intent) for intent in intents for name in databases])

    orders = Counter(answer[0].value.key for answer in answers.values())
    assert set(answers) == intents
    assert len(orders) == len(intents)
    for given_answers in answers.values():
        assert len({(a.value.key, a.value.revision) for a in given_answers}) == 1
        assert [a.replayed for a in given_answers].count(False) <= 1
    here.probe()
    stock = here.database.read(lambda view: view.require("stock", "lily")).value.body
    placed = sum(name == "orders" for name, *_ in here.dump())
    assert stock["sold"] == placed
