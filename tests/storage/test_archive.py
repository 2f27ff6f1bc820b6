"""What has left for the archive is found by its id and in its person's list, as if it were here."""

import random
from itertools import pairwise
from typing import Any

import pytest

from shared.errors import NOT_FOUND, Refused
from shared.storage import archiver as archiving
from shared.storage.access import Document, Transaction
from shared.storage.catalogue import Archive, Catalogue, Collection
from tests.storage.archived import (
    ARCHIVED,
    KEPT_MS,
    archive,
    archiver,
    closed,
    fill,
    here_are,
    key,
    listed,
    objects,
    order,
    paged,
    read,
    volumes,
)
from tests.storage.world import PREFIX, Caller, Container, World, claim, problem


@pytest.fixture(autouse=True)
def small_volumes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archiving, "RUN_DOCUMENTS_MAX", 8)
    monkeypatch.setattr(archiving, "RUN_DOCUMENTS_MIN", 1)
    monkeypatch.setattr(archiving, "VOLUME_DOCUMENTS_MAX", 12)


@pytest.fixture
def here(world: World) -> Container:
    world.sound = False  # the chain is checked here; replaying knows another catalogue
    return world.container("here", catalogue=ARCHIVED)


@pytest.fixture
def there(world: World) -> Container:
    return world.container("there", catalogue=ARCHIVED)


# Leaving, and being found


def test_what_left_is_found_by_its_id_as_it_was(here: Container, world: World) -> None:
    fill(here, range(5))
    before = {number: read(here, number) for number in range(5)}

    assert archive(here) == 1

    assert here_are(here) == []
    assert {number: read(here, number) for number in range(5)} == before
    cold = world.container("cold", catalogue=ARCHIVED)
    assert read(cold, 3) == before[3]


def test_a_document_costs_two_reads_and_a_miss_no_more(here: Container) -> None:
    fill(here, range(0, 60, 2))
    archive(here)

    for number, error in ((10, None), (11, NOT_FOUND), (58, None), (59, NOT_FOUND)):
        began = here.store.count("get_range")
        outcome = Caller(lambda n=number: read(here, n)).outcome()  # type: ignore[misc]
        assert problem(outcome) == error
        assert here.store.count("get_range") - began <= 2

    began = here.store.count("get_range")
    for outside in ("order_9999", "a"):
        refused = Caller(
            lambda k=outside: here.database.read(lambda view: view.require("orders", k))  # type: ignore[misc]
        ).outcome()
        assert problem(refused) == NOT_FOUND
    assert here.store.count("get_range") == began


def test_what_is_not_over_or_not_for_long_enough_stays(here: Container) -> None:
    now_ms = here.clock.now_ms()
    here.database.transact(order(1))
    here.database.transact(order(2, closed_ms=now_ms - KEPT_MS + 1))
    here.database.transact(order(3, closed_ms=now_ms - KEPT_MS))

    archive(here)

    assert here_are(here) == [key(1), key(2)]


def test_few_are_left_for_later_but_not_for_ever(
    here: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archiving, "RUN_DOCUMENTS_MIN", 3)
    due_since = here.clock.now_ms() - KEPT_MS
    here.database.transact(order(1, closed_ms=due_since))
    head = here.replica.head()

    assert archiver(here).due(head) is None
    here.clock.pass_wall(hours=25)
    assert archiver(here).due(head) is not None


def test_a_serving_container_archives_by_itself(world: World) -> None:
    world.sound = False
    here = world.container("here", catalogue=ARCHIVED, archive_ms=KEPT_MS)
    fill(here, range(20))

    here.database._follow()
    for maker in here.database._makers:
        maker.join(30)

    assert here_are(here) == []
    assert len(listed(here)) == 20


def test_without_a_time_nothing_leaves(here: Container) -> None:
    fill(here, range(20))
    here.database._follow()
    assert len(here.database._makers) == 2
    assert len(here_are(here)) == 20


# Lists


@pytest.mark.parametrize("limit", [1, 3, 4, 7, 100])
@pytest.mark.parametrize("descending", [True, False])
def test_a_list_goes_on_into_the_archive(limit: int, descending: bool, here: Container) -> None:
    fill(here, range(40), citizens=3)
    archive(here)
    fill(here, range(40, 50), citizens=3)
    here.database.transact(order(16, "c1"))  # brought back, and open again

    for citizen in range(3):
        expected = [key(number) for number in range(50) if number % 3 == citizen]
        found = listed(here, f"c{citizen}", limit, descending=descending)
        assert found == (expected[::-1] if descending else expected)


def test_a_random_history_lists_and_reads_as_if_nothing_had_left(here: Container) -> None:
    chance = random.Random(18)
    model: dict[str, tuple[str, int]] = {}
    for step in range(60):
        number, citizen = chance.randrange(60), f"c{chance.randrange(4)}"
        if key(number) in model:
            citizen = model[key(number)][0]
        done = chance.random() < 0.7
        change = (closed if done else order)(number, citizen)
        written = here.database.transact(change).value
        model[key(number)] = (citizen, written.revision)
        if step % 7 == 6:
            archive(here, runs=2)
        for each in range(4):
            expected = sorted(k for k, (who, _) in model.items() if who == f"c{each}")
            limit = chance.choice([1, 2, 5])
            assert listed(here, f"c{each}", limit) == expected[::-1]
    assert len(volumes(here)) > 1
    for name, (_, revision) in model.items():
        found = here.database.read(lambda view, k=name: view.require("orders", k)).value
        assert found.revision == revision


def test_a_newest_page_asks_the_archive_for_nothing(here: Container) -> None:
    fill(here, range(30))
    archive(here)
    fill(here, range(30, 36))
    began = here.store.count("get_range")

    page = here.database.read(
        lambda view: view.find("orders_by_citizen", ("c0",), limit=5, descending=True)
    ).value

    assert [hit.document.key for hit in page] == [key(number) for number in range(35, 30, -1)]
    assert here.store.count("get_range") == began


def test_who_has_nothing_there_costs_almost_nothing(here: Container) -> None:
    fill(here, range(96), citizens=2)
    archive(here)
    began = here.store.count("get_range")

    for number in range(20):
        assert listed(here, f"stranger-{number}") == []
    assert here.store.count("get_range") - began < 20  # of 20 times ten volumes or so


def test_another_index_shows_what_has_not_left(here: Container) -> None:
    fill(here, range(10))
    archive(here)
    here.database.transact(order(50))

    found = here.database.read(lambda view: view.find("orders_by_state", ("done",), limit=99)).value
    assert [hit.document.key for hit in found] == [key(50)]


def test_many_are_fetched_together(here: Container) -> None:
    fill(here, range(30))
    archive(here)
    keys = [key(number) for number in (3, 28, 14)]
    runs = 0

    def query(view: Any) -> list[Document]:
        nonlocal runs
        runs += 1
        found: list[Document] = view.require_all("orders", keys)
        return found

    assert [each.key for each in here.database.read(query).value] == keys
    assert runs == 2


def test_a_person_sees_what_was_brought_back_as_it_is(here: Container) -> None:
    """Also where it is no longer in that list: its copy in the volume is another person's."""
    fill(here, range(5))
    archive(here)
    here.database.transact(order(2, "c1", state="handed over"))

    assert listed(here, "c0") == [key(number) for number in (4, 3, 1, 0)]
    [hit] = paged(here, "c1", 4)
    assert hit.document.body["state"] == "handed over"


# Changing what left


def test_writing_an_archived_document_brings_it_back(here: Container) -> None:
    fill(here, range(5))
    archive(here)
    old = read(here, 2)

    def change(tx: Transaction) -> Document:
        found = tx.require("orders", key(2))
        assert found == old
        return tx.put("orders", key(2), {**found.body, "state": "refunded"})

    changed = here.database.transact(change).value

    assert here_are(here) == [key(2)]
    assert read(here, 2).revision == changed.revision > old.revision
    assert read(here, 2).body["state"] == "refunded"
    assert listed(here) == [key(number) for number in range(4, -1, -1)]
    archive(here)
    assert here_are(here) == []
    assert read(here, 2).body["state"] == "refunded"


def test_a_claimed_change_of_an_archived_document_is_done_once(here: Container) -> None:
    fill(here, range(5))
    archive(here)

    def change(tx: Transaction) -> Document:
        found = tx.require("orders", key(2))
        count = found.body.get("count", 0) + 1
        return tx.put("orders", key(2), {**found.body, "count": count})

    first = here.database.transact_once(claim("k"), change)
    archive(here)
    again = here.database.transact_once(claim("k"), change)

    assert again.replayed
    assert again.value == first.value
    assert read(here, 2).body["count"] == 1


def test_an_archived_document_is_refused_to_who_may_not_see_it(here: Container) -> None:
    fill(here, range(5))
    archive(here)

    def change(tx: Transaction) -> Document:
        found = tx.require("orders", key(2))
        if found.body["citizen"] != "another":
            raise Refused(NOT_FOUND)
        return found

    assert problem(Caller(lambda: here.database.transact(change)).outcome()) == NOT_FOUND


def test_what_is_archived_is_never_deleted(here: Container) -> None:
    fill(here, range(5))
    with pytest.raises(ValueError, match="never deleted"):
        here.database.transact(lambda tx: tx.delete("orders", key(2)))


# Volumes


def test_volumes_share_the_keys_out(here: Container, world: World) -> None:
    chance = random.Random(7)
    numbers = [*range(80)]
    chance.shuffle(numbers)
    for number in numbers:
        here.database.transact(closed(number))
        if number % 9 == 0:
            archive(here, runs=1)
    archive(here)

    made = volumes(here)
    assert all(one.last < other.first for one, other in pairwise(made))
    assert sum(each.contents.count for each in made) == 80
    assert max(each.contents.count for each in made) <= 12
    assert sorted(objects(world)) == sorted(each.key(PREFIX) for each in made)


def test_a_collection_without_a_list_is_archived_by_id(here: Container) -> None:
    here.database.transact(lambda tx: [tx.put("rows", f"r{n}", {"at": n}) for n in range(5)])

    assert archiver(here, collection="rows").run()

    assert here_are(here, "rows") == []
    found = here.database.read(lambda view: view.require("rows", "r3")).value
    assert found.body == {"at": 3}


def test_what_has_no_value_in_the_list_is_found_by_id(here: Container) -> None:
    here.database.transact(lambda tx: tx.put("orders", key(1), {"closed_ms": 1}))
    here.database.transact(closed(2))
    archive(here)

    assert read(here, 1).body == {"closed_ms": 1}
    assert listed(here) == [key(2)]


@pytest.mark.parametrize(
    "collection",
    [
        Collection("c", archive=Archive(since="not a path")),
        Collection("c", archive=Archive(since="at", list="another_list")),
        Collection("c", text=("name",), archive=Archive(since="at")),
    ],
)
def test_a_declaration_that_cannot_work_is_refused(collection: Collection) -> None:
    with pytest.raises(ValueError, match=r"path|list|searched"):
        Catalogue(collection)
