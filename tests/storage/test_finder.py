"""The search index is derived, outside of the commit, and behind by little; it can go any time."""

import fcntl
import os
import resource
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tantivy import Index

from shared.errors import BUSY, Refused
from shared.storage import finder as finders
from shared.storage.access import Position, Search, Transaction
from shared.storage.catalogue import Catalogue, Collection
from shared.storage.database import JournalDatabase
from shared.storage.finder import Finder, _place
from tests.storage.world import Caller, Container, World, problem
from tests.support.waiting import wait_until


def put(database: JournalDatabase, key: str, name: str = "百合", price: int = 100) -> None:
    body = {"name_zh": name, "price": price, "county": "620100"}
    database.transact(lambda tx: tx.put("products", key, body))


def found(database: JournalDatabase, text: str = "百合", **more: Any) -> list[str]:
    search = Search("products", text, **more)
    hits = database.read(lambda view: view.search(search, limit=100)).value
    return [hit.document.key for hit in hits]


def finder_of(container: Container) -> Finder:
    return container.replica.finder


@contextmanager
def feeding_elsewhere(container: Container) -> Iterator[None]:
    """Another process feeds the index, and takes its time."""
    descriptor = os.open(finder_of(container)._folder / "feed.lock", os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


def test_what_was_written_is_found_at_once(here: Container) -> None:
    put(here.database, "lily")
    assert found(here.database) == ["lily"]
    put(here.database, "dried")
    assert sorted(found(here.database)) == ["dried", "lily"]


def test_where_nothing_is_searched_nothing_is_fed(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    plain = world.container("plain", catalogue=Catalogue(Collection("notes")))
    plain.database.transact(lambda tx: tx.put("notes", "n", {}))
    plain.database._follow()
    assert plain.database._feeder._thread is None
    assert caplog.records == []


def test_the_tailer_lets_search_hear_of_what_others_wrote(
    here: Container, there: Container
) -> None:
    put(there.database, "lily")
    here.probe()
    assert finder_of(here)._mark.revision == 0
    here.database._follow()
    wait_until(lambda: finder_of(here)._read_mark().level, "search has heard")
    with feeding_elsewhere(here):
        assert found(here.database) == ["lily"], "without feeding for itself"


def test_writing_does_not_wait_for_search_and_search_not_for_long(here: Container) -> None:
    put(here.database, "lily")
    assert found(here.database) == ["lily"]
    with feeding_elsewhere(here):
        put(here.database, "dried")
        assert found(here.database) == ["lily"], "what it has heard of"
    assert sorted(found(here.database)) == ["dried", "lily"]


def test_what_search_has_not_heard_of_is_answered_as_it_is_now(here: Container) -> None:
    for key in ("kept", "gone", "dearer"):
        put(here.database, key)
    assert len(found(here.database)) == 3
    with feeding_elsewhere(here):
        here.database.transact(lambda tx: tx.delete("products", "gone"))
        put(here.database, "dearer", price=900)
        assert sorted(found(here.database)) == ["dearer", "kept"]
        assert found(here.database, between={"price": (None, 500)}) == ["kept"]
        put(here.database, "kept", name="蜜瓜")
        hits = here.database.read(lambda view: view.search(Search("products", "百合"), limit=9))
        assert {hit.document.body["name_zh"] for hit in hits.value} == {"百合", "蜜瓜"}


def test_a_page_is_full_though_some_of_it_has_gone(
    here: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(9):
        put(here.database, f"p{number}", price=number)
    assert len(found(here.database)) == 9
    finder, waited = finder_of(here), list[int]()

    def got(lock: int) -> bool:
        waited.append(lock)
        return False

    with feeding_elsewhere(here):

        def some(tx: Transaction) -> None:
            for number in range(6):
                tx.delete("products", f"p{number}")

        here.database.transact(some)
        monkeypatch.setattr(finder, "_got", got)
        search = Search("products", "百合", order="price")
        page = here.database.read(lambda view: view.search(search, limit=3)).value
    assert [hit.document.key for hit in page] == ["p6", "p7", "p8"]
    assert len(waited) == 1, "for all three looks at the index"


def test_processes_share_what_one_of_them_fed(here: Container) -> None:
    put(here.database, "lily")
    assert found(here.database) == ["lily"]
    other = here.process()
    with feeding_elsewhere(here):
        assert found(other) == ["lily"]
    put(here.database, "dried")
    assert len(found(other)) == 2
    with feeding_elsewhere(here):
        assert len(found(here.database)) == 2, "fed by the other one"


def lose(folder: Path) -> None:
    shutil.rmtree(folder)


def cut(folder: Path) -> None:
    for file in folder.iterdir():
        if file.suffix not in {".lock", ".json"} and file.name != "mark":
            os.truncate(file, 7)


def garble(folder: Path) -> None:
    (folder / "meta.json").write_text("{")


def forget(folder: Path) -> None:
    (folder / "mark").write_text("[1,")


def lose_all_but_the_mark(folder: Path) -> None:
    """As a removal does that was interrupted."""
    for file in folder.iterdir():
        if file.name != "mark":
            file.unlink()


@pytest.mark.parametrize("damage", [lose, cut, garble, forget, lose_all_but_the_mark])
@pytest.mark.parametrize("opened", [True, False], ids=["while open", "before opening"])
def test_a_lost_or_damaged_index_is_built_again(here: Container, damage: Any, opened: bool) -> None:
    for key in ("lily", "dried"):
        put(here.database, key)
    assert len(found(here.database)) == 2
    damage(finder_of(here)._folder)
    put(here.database, "bulb")

    database = here.database if opened else here.process()

    def whole() -> bool:
        with suppress(Refused):  # busy, and never a part
            assert sorted(found(database)) == ["bulb", "dried", "lily"]
            return True
        return False

    wait_until(whole, "everything is found again", seconds=10)
    assert sorted(found(here.database)) == ["bulb", "dried", "lily"]


def test_a_crash_between_index_and_mark_doubles_nothing(
    here: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(here.database, "lily")
    assert found(here.database) == ["lily"]
    put(here.database, "dried")

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Finder, "_write_mark", crash)
        with pytest.raises(KeyboardInterrupt):
            found(here.database)

    assert sorted(found(here.process())) == ["dried", "lily"]


def before_its_mark(container: Container, happens: Callable[[], object]) -> Caller[list[str]]:
    """A search that takes something in, and what happens before it says so."""
    finder = finder_of(container)
    write = finder._write_mark

    def later(*rest: Any) -> None:
        finder._write_mark = write  # type: ignore[method-assign]
        happens()
        write(*rest)

    finder._write_mark = later  # type: ignore[method-assign, assignment]
    return Caller(lambda: found(container.database))


def test_who_finds_damage_while_another_feeds_takes_nothing_from_under_it(here: Container) -> None:
    put(here.database, "lily")
    other = here.process()
    assert found(here.database) == found(other) == ["lily"]
    put(here.database, "dried")

    def damaged() -> None:
        with pytest.raises(Refused, match="busy"), other._opened().follower.replica.finder._whole():
            raise ValueError("Data corrupted")

    assert sorted(before_its_mark(here, damaged).value()) == ["dried", "lily"]
    assert sorted(found(here.process())) == ["dried", "lily"]
    assert sorted(found(other)) == ["dried", "lily"]


def test_no_mark_is_left_for_an_index_that_was_removed_meanwhile(here: Container) -> None:
    put(here.database, "lily")
    assert found(here.database) == ["lily"]
    put(here.database, "dried")
    finder = finder_of(here)
    folder = finder._folder

    def made_anew() -> None:
        lose(folder)
        folder.mkdir()
        (folder / "feed.lock").touch()
        Index(finder._schema, path=str(folder))

    assert problem(before_its_mark(here, made_anew).outcome()) == BUSY
    assert not (folder / "mark").exists()
    assert sorted(found(here.process())) == ["dried", "lily"]


@contextmanager
def no_space() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def no_descriptors(left: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, soft), hard))
    try:
        with suppress(OSError):
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        for descriptor in [held.pop() for _ in range(left)]:
            os.close(descriptor)
        yield
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    "short_of",
    [no_space, *(partial(no_descriptors, left) for left in (0, 1, 2, 4))],
    ids=["space", *(f"descriptors but {left}" for left in (0, 1, 2, 4))],
)
def test_what_the_machine_is_short_of_is_no_damage(here: Container, short_of: Any) -> None:
    put(here.database, "lily")
    assert found(here.database) == ["lily"]
    folder = finder_of(here)._folder
    before = set(folder.glob("*.term"))
    put(here.database, "dried")

    for _ in range(2):
        with short_of(), pytest.raises(Refused, match="busy"):
            found(here.database)

    assert sorted(found(here.database)) == ["dried", "lily"]
    assert before <= set(folder.glob("*.term")), "the index is the same"


def test_a_large_index_that_was_never_level_answers_busy_not_a_part(
    here: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finders, "FIRST_DOCUMENTS_MAX", 1)
    monkeypatch.setattr(finders, "BATCH_DOCUMENTS_MAX", 4)
    for number in range(10):
        put(here.database, f"p{number}")

    def feed() -> bool:
        with here.replica.reading() as reader:
            return finder_of(here).feed(reader)

    fed: list[bool] = []
    while not (fed and fed[-1]):
        with pytest.raises(Refused, match="busy"):
            found(here.database)
        fed.append(feed())
    assert fed == [False, False, True]
    assert len(found(here.database)) == 10


def test_an_index_that_was_lost_a_moment_ago_answers_busy_not_a_part(
    here: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10):
        put(here.database, f"p{number}")
    assert len(found(here.database)) == 10
    monkeypatch.setattr(finders, "LEVELLED_DOCUMENTS_MAX", 3)
    monkeypatch.setattr(finders, "BEHIND_SECONDS", 60)
    monkeypatch.setattr(finders, "BATCH_DOCUMENTS_MAX", 4)
    lose(finder_of(here)._folder)
    with here.replica.reading() as reader:
        assert not finder_of(here).feed(reader), "there is more to take in"

    with pytest.raises(Refused, match="busy"):
        found(here.database)


def test_far_behind_search_answers_on_what_it_has_heard(
    here: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finders, "LEVELLED_DOCUMENTS_MAX", 3)
    monkeypatch.setattr(finders, "BEHIND_SECONDS", 60)
    put(here.database, "first")
    assert found(here.database) == ["first"]
    for number in range(4):
        put(here.database, f"p{number}")
    assert found(here.database) == ["first"]
    here.clock.pass_monotonic(60)
    assert len(found(here.database)) == 5, "but not for long"


def test_a_search_that_was_not_level_lately_is_brought_level_or_busy(
    here: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The container slept, or has just started, while others wrote."""
    put(here.database, "first")
    assert found(here.database) == ["first"]
    monkeypatch.setattr(finders, "LEVELLED_DOCUMENTS_MAX", 3)
    monkeypatch.setattr(finders, "FIRST_DOCUMENTS_MAX", 4)
    for number in range(5):
        put(here.database, f"p{number}")

    with pytest.raises(Refused, match="busy"):
        found(here.process())
    monkeypatch.setattr(finders, "FIRST_DOCUMENTS_MAX", 5)
    assert len(found(here.process())) == 6


def test_what_is_fed_holds_no_state_of_the_replica(
    here: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A merge takes seconds, for which SQLite's log would grow."""
    held: list[bool] = []
    take_in = Finder._take_in

    def looked(self: Finder, *rest: Any, **more: Any) -> None:
        sessions = list(here.replica._sessions)
        held.append(any(session.connection.in_transaction for session in sessions))
        take_in(self, *rest, **more)

    monkeypatch.setattr(Finder, "_take_in", looked)
    put(here.database, "lily")
    here.database.feed()
    wait_until(lambda: finder_of(here)._read_mark().level, "search has heard")

    assert held == [False]


def test_another_replica_has_an_index_of_its_own(here: Container) -> None:
    put(here.database, "lily")
    assert found(here.database) == ["lily"]
    folder = finder_of(here)._folder
    shutil.rmtree(here.folder)

    wait_until(lambda: found(here.database) == ["lily"], "a new replica, and a new index")
    assert finder_of(here)._folder != folder


def twins() -> tuple[str, str]:
    """Two keys that one number gives the same place."""
    seen: dict[int, str] = {}
    for number in range(1 << 16):
        key = f"product-{number}"
        other = seen.setdefault(_place(0, key), key)
        if other != key:
            return other, key
    raise AssertionError("no twins among so many")


@pytest.mark.parametrize("descending", [False, True])
def test_documents_at_one_place_of_an_order_are_all_listed_once(
    here: Container, descending: bool
) -> None:
    one, other = twins()
    assert zlib.crc32(one.encode()) != zlib.crc32(other.encode())
    for key in (other, one, "product-x"):
        put(here.database, key)
    search = Search("products", "百合", order="price", descending=descending)
    seen: list[str] = []
    after: Position | None = None
    while page := here.database.read(
        lambda view: view.search(search, limit=1, after=after)  # noqa: B023
    ).value:
        seen.append(page[0].document.key)
        after = page[0].position
    assert sorted(seen) == sorted([one, other, "product-x"])


def test_what_is_written_between_pages_moves_nobody_from_one_to_the_other(here: Container) -> None:
    for price in range(10, 20):
        put(here.database, f"p{price}", price=price)
    search = Search("products", "百合", order="price")

    def page(after: Position | None) -> Any:
        return here.database.read(lambda view: view.search(search, limit=5, after=after)).value

    first = page(None)
    put(here.database, "p00", price=0)
    put(here.database, "p12b", price=12)
    second = page(first[-1].position)
    assert [hit.document.key for hit in second] == ["p15", "p16", "p17", "p18", "p19"]


@pytest.mark.parametrize("price", [-1, 1 << 44, 1.5, "dear", None])
def test_a_number_that_is_none_stands_in_no_order_but_is_found(
    here: Container, price: object
) -> None:
    here.database.transact(
        lambda tx: tx.put("products", "odd", {"name_zh": "百合", "price": price})
    )
    assert found(here.database) == ["odd"]
    assert found(here.database, order="price") == []


def test_a_world_of_many_writers_finds_what_it_wrote(world: World) -> None:
    containers = [world.container(name) for name in ("a", "b")]
    for number in range(20):
        put(containers[number % 2].database, f"p{number}", name=f"百合{number}号")
    for container in containers:
        assert len(found(container.database)) == 20
        assert found(container.database, "百合7号") == ["p7"]
