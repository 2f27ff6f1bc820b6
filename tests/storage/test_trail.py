"""The audit trail keeps what a journal held, and says when it no longer does."""

import pytest

from shared.storage import trail as trails
from shared.storage.journal import Journal, JournalGap
from shared.storage.memory import MemoryBucket, MemoryStore, lose_reply, refuse
from shared.storage.objects import Uncertain
from shared.storage.segments import ChainBroken, proven, stored_segments
from shared.storage.trail import Copied, Trail
from tests.storage.world import PREFIX, Container, World, key, note


@pytest.fixture
def audit() -> MemoryBucket:
    return MemoryBucket()


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trails, "PIECE_ENTRIES_MAX", 3)


def trail_of(container: Container, audit: MemoryBucket) -> Trail:
    journal = Journal(container.store, PREFIX, container.clock)
    return Trail(journal, MemoryStore(audit), PREFIX)


def write(container: Container, count: int) -> None:
    for number in range(count):
        container.database.transact(note(f"n{number}", f"text {number}"))


def copied(container: Container, audit: MemoryBucket) -> Copied:
    return trail_of(container, audit).copy()


def test_what_is_new_is_copied_once(here: Container, audit: MemoryBucket) -> None:
    write(here, 4)
    assert copied(here, audit) == Copied(5, 2, ())
    assert copied(here, audit) == Copied(5, 0, ())
    write(here, 1)
    assert copied(here, audit) == Copied(6, 1, ())
    assert list(trail_of(here, audit).check()) == []


def test_an_empty_journal_has_an_empty_trail(world: World, audit: MemoryBucket) -> None:
    here = world.container("here", opened=False)
    assert copied(here, audit) == Copied(0, 0, ())


def test_the_copies_are_the_entries(here: Container, world: World, audit: MemoryBucket) -> None:
    write(here, 5)
    copied(here, audit)
    target, read = MemoryStore(audit), Journal(here.store, PREFIX, here.clock).read
    held = [
        stored
        for piece in stored_segments(target, PREFIX, 1)
        for stored in proven(target, piece, read).entries(piece.first, piece.last)
    ]
    assert held == world.stored()


def test_a_rewritten_end_is_told_and_both_are_kept(
    here: Container, world: World, audit: MemoryBucket
) -> None:
    write(here, 5)
    copied(here, audit)
    before = [info.key for info in audit.list(PREFIX, "", 10)]
    world.bucket.tamper(key(6), world.stored()[5].replace(b"text 4", b"text X"))
    world.sound = False
    found = copied(here, audit)
    assert found.foreign == (before[-1],)
    assert found.seq == 6
    assert set(before) < {info.key for info in audit.list(PREFIX, "", 10)}
    assert [each.split()[0] for each in trail_of(here, audit).check()] == [before[-1]]


def test_an_end_that_was_cut_off_is_told(
    here: Container, world: World, audit: MemoryBucket
) -> None:
    write(here, 5)
    copied(here, audit)
    last = audit.list(PREFIX, "", 10)[-1].key
    world.bucket.delete(key(6))
    world.sound = False
    assert copied(here, audit).foreign == (last,)


def test_what_is_damaged_is_not_copied(here: Container, world: World, audit: MemoryBucket) -> None:
    write(here, 5)
    world.sound = False
    world.bucket.tamper(key(3), world.stored()[2].replace(b"text 1", b"text X"))
    with pytest.raises(ChainBroken, match="entry 4"):
        copied(here, audit)
    world.bucket.delete(key(3))
    with pytest.raises(JournalGap, match="entry 3"):
        copied(here, audit)
    assert not any("3-0" in info.key for info in audit.list(PREFIX, "", 10))


def test_an_entry_that_was_exchanged_in_the_middle_is_told(
    here: Container, world: World, audit: MemoryBucket
) -> None:
    write(here, 5)
    copied(here, audit)
    first, second = (info.key for info in audit.list(PREFIX, "", 10))
    world.sound = False
    world.bucket.tamper(key(2), world.stored()[1].replace(b"text 0", b"text X"))
    world.bucket.delete(key(5))
    assert [each.split()[0] for each in trail_of(here, audit).check()] == [first, second]


def test_a_damaged_copy_is_found(here: Container, audit: MemoryBucket) -> None:
    write(here, 2)
    copied(here, audit)
    [info] = audit.list(PREFIX, "", 10)
    audit.tamper(info.key, b"of another")
    assert [each.split()[0] for each in trail_of(here, audit).check()] == [info.key]


def test_a_copy_whose_answer_was_lost_is_not_made_twice(
    here: Container, audit: MemoryBucket
) -> None:
    write(here, 5)
    target = MemoryStore(audit)
    target.inject("create", lose_reply)
    trail = Trail(Journal(here.store, PREFIX, here.clock), target, PREFIX)
    with pytest.raises(Uncertain):
        trail.copy()
    assert trail.copy() == Copied(6, 1, ())
    target.inject("create", refuse(Uncertain("no answer")))
    write(here, 1)
    with pytest.raises(Uncertain):
        trail.copy()
    assert trail.copy() == Copied(7, 1, ())


def test_copying_stops_when_it_is_told_to(here: Container, audit: MemoryBucket) -> None:
    write(here, 8)
    assert trail_of(here, audit).copy(lambda: True) == Copied(3, 1, ())
    assert copied(here, audit).seq == 9
