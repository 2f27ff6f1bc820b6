"""Compaction adds segments, takes nothing away, and a replay reads only those that are true."""

import gzip
from collections.abc import Callable

import pytest

from shared.storage import compaction as compacting
from shared.storage import segments
from shared.storage.entry import Entry, decode, digest, encode
from shared.storage.journal import Journal, JournalGap
from shared.storage.memory import drop, lose_reply, refuse
from shared.storage.objects import Denied, Exists
from shared.storage.segments import (
    Ahead,
    ChainBroken,
    Cut,
    Segment,
    SegmentDamaged,
    check_chain,
    name_of,
    pack,
    proven,
    stored_segments,
)
from tests.storage.world import (
    JOURNAL,
    PREFIX,
    SEGMENTS,
    Container,
    World,
    compact,
    compaction,
    key,
    note,
    together,
)

pytestmark = pytest.mark.usefixtures("small_segments")


def write(container: Container, count: int, text: str = "") -> None:
    for number in range(count):
        container.database.transact(note(f"n{number}", text or f"text {number}"))


def spans(made: list[Segment]) -> list[tuple[int, int, int]]:
    return [(each.level, each.first, each.last) for each in made]


def journal_of(container: Container) -> Journal:
    return Journal(container.store, PREFIX, container.clock)


def cut_of(world: World, segment: Segment) -> Cut:
    return proven(world.store, segment, Journal(world.store, PREFIX, world.clock).read)


# Making


def test_segments_are_cut_merged_and_hold_the_entries_as_they_are(
    here: Container, world: World
) -> None:
    write(here, 22)  # and entry 1

    made = compact(here)

    assert spans(made) == [(1, 1, 5), (1, 6, 10), (2, 1, 10), (1, 11, 15), (1, 16, 20), (2, 11, 20)]
    stored = world.stored()
    for segment in made:
        cut = cut_of(world, segment)
        entries = list(cut.entries(segment.first, segment.last))
        assert entries == stored[segment.first - 1 : segment.last]
        assert segment.hash == digest(stored[segment.last - 1])
        assert segment.journal_bytes == sum(map(len, stored[: segment.last]))


def test_every_entry_can_be_cut_out_with_nothing_but_gzip(here: Container, world: World) -> None:
    write(here, 6)

    [made] = compact(here)

    assert gzip.decompress(world.store.get(made.key)).startswith(b"".join(world.stored()[:5]))


def test_compaction_only_adds(here: Container, world: World) -> None:
    write(here, 30)
    before = {info.key: world.store.get(info.key) for info in world.journal()}

    compact(here)

    assert {info.key: world.store.get(info.key) for info in world.journal()} == before
    assert here.store.count("delete", JOURNAL) == 0
    for seq in range(1, 32):
        with pytest.raises(Exists):
            here.store.create(key(seq), b"{}")


def test_nothing_is_due_before_there_are_enough_entries(here: Container) -> None:
    write(here, 3)
    making = compaction(here)
    asked = len(here.store.calls)

    assert making.due(here.replica.head()) is None
    assert len(here.store.calls) == asked


def test_large_entries_end_a_segment_earlier(
    here: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compacting, "BYTES_MIN", 2_000)
    write(here, 6, "x" * 1_000)

    assert spans(compact(here)) == [(2, 1, 3), (2, 4, 5), (2, 6, 7)], "at once of level 2"


def test_behind_segments_of_level_1_large_entries_are_merged_with_them(
    here: Container, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(here, 6)
    compact(here)
    monkeypatch.setattr(compacting, "BYTES_MIN", 2_000)
    write(here, 5, "x" * 1_000)

    assert spans(compact(here)) == [(1, 6, 9), (2, 1, 9), (2, 10, 11)]
    assert world.container("cold").dump() == here.dump()


def test_a_backlog_is_worked_off_in_pieces(
    here: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compacting, "RUN_SEGMENTS_MAX", 2)
    write(here, 30)

    assert spans(compact(here)) == [(1, 1, 5), (1, 6, 10)]
    assert spans(compact(here)) == [(2, 1, 10), (1, 11, 15)]


def test_one_of_two_containers_makes_them(here: Container, there: Container) -> None:
    write(here, 6)
    there.probe()
    head = here.replica.head()
    making = [compaction(each) for each in (here, there)]
    (claim,) = {each.due(head) for each in making}
    assert claim is not None

    made = [each.make(claim, head, lambda: False) for each in making]

    assert [len(each) for each in made] == [1, 0]


def test_the_work_of_a_maker_that_died_is_claimed_again_as_the_journal_grows(
    here: Container,
) -> None:
    write(here, 6)
    lost = compaction(here).due(here.replica.head())
    assert lost is not None
    here.store.create(lost, b"{}")  # and then its maker died

    write(here, 5)

    assert compaction(here).due(here.replica.head()) != lost
    assert spans(compact(here))[:1] == [(1, 1, 5)]


def test_makers_that_work_at_once_make_the_same(here: Container, there: Container) -> None:
    write(here, 22)
    there.probe()
    head = here.replica.head()

    made = together(
        lambda: compaction(here).make(f"{SEGMENTS}claims/a", head, lambda: False),
        lambda: compaction(there).make(f"{SEGMENTS}claims/b", head, lambda: False),
    )

    assert not any(isinstance(each, Exception) for each in made)
    listed = list(stored_segments(here.store, PREFIX, 1))
    assert sorted(spans(listed)) == [
        (1, 1, 5),
        (1, 6, 10),
        (1, 11, 15),
        (1, 16, 20),
        (2, 1, 10),
        (2, 11, 20),
    ]


def test_a_lost_reply_is_no_harm(here: Container, world: World) -> None:
    write(here, 12)
    here.store.inject("create", lose_reply, key=f"{SEGMENTS}0")
    making, head = compaction(here), here.replica.head()
    with pytest.raises(Exception, match="reply lost"):
        making.make(f"{SEGMENTS}claims/a", head, lambda: False)

    made = making.make(f"{SEGMENTS}claims/b", head, lambda: False)

    assert spans(made) == [(1, 6, 10), (2, 1, 10)]
    assert world.container("cold").dump() == here.dump()


def test_without_the_right_to_delete_segments_are_made_all_the_same(here: Container) -> None:
    write(here, 6)
    compact(here)
    write(here, 5)
    here.store.inject("delete", refuse(Denied("403")))

    assert spans(compact(here)) == [(1, 6, 10), (2, 1, 10)]


def test_a_broken_chain_is_not_copied(here: Container, world: World) -> None:
    write(here, 6)
    world.bucket.tamper(key(3), world.store.get(key(3)).replace(b"text", b"TEXT"))
    world.sound = False

    with pytest.raises(ChainBroken, match="entry 4 does not follow"):
        compact(here)
    assert list(stored_segments(world.store, PREFIX, 1)) == []


def test_a_missing_entry_is_not_stepped_over(here: Container, world: World) -> None:
    write(here, 6)
    world.bucket.delete(key(3))
    world.sound = False

    with pytest.raises(JournalGap, match="entry 3 is missing"):
        compact(here)


def test_segments_of_a_history_that_was_restored_away_are_built_past(
    here: Container, there: Container, world: World
) -> None:
    write(here, 12)
    old = compact(here)
    making = compaction(here)
    making.due(here.replica.head())
    for seq in range(4, 14):  # a backup of entry 3 is restored
        world.bucket.delete(key(seq))
    here.restart()
    write(here, 14, "another history")

    with pytest.raises(ChainBroken):  # who knows only the old ones, learns anew
        making.make(f"{SEGMENTS}claims/x", here.replica.head(), lambda: False)
    made = making.make(f"{SEGMENTS}claims/y", here.replica.head(), lambda: False)

    assert spans(made)[:3] == [(1, 1, 5), (1, 6, 10), (2, 1, 10)]
    assert not {each.key for each in old} & {each.key for each in made}
    assert world.container("cold").dump() == here.dump()


def test_a_serving_container_makes_them_by_itself(here: Container, world: World) -> None:
    write(here, 12)
    maker = here.database._makers[1]

    here.database._follow()
    maker.join(30)

    assert len(list(stored_segments(world.store, PREFIX, 1))) == 3


def test_a_container_that_closes_does_not_wait_for_a_backlog(here: Container) -> None:
    write(here, 12)
    making, head = compaction(here), here.replica.head()

    assert making.make(f"{SEGMENTS}claims/a", head, lambda: True) == []


# Reading


def cold_start(world: World) -> Container:
    """A container that has nothing but the bucket; its calls are counted."""
    return world.container("cold")


def test_a_cold_start_reads_segments_and_the_entries_behind_them(
    here: Container, world: World
) -> None:
    write(here, 22)
    compact(here)

    cold = cold_start(world)

    assert cold.dump() == here.dump() == world.replayed()
    # Entry 1 names the database and comes before the listing; 10 and 20 vouch for their segments;
    # 21 to 23 stand behind them.
    read = [c.key for c in cold.store.calls if c.operation == "get" and c.key.startswith(JOURNAL)]
    assert set(read) == {key(seq) for seq in (1, 10, 20, 21, 22, 23)}
    assert cold.store.count("get", SEGMENTS) == 2


def test_a_range_may_begin_and_end_within_a_segment(here: Container, world: World) -> None:
    write(here, 22)
    compact(here)
    stored = world.stored()

    for first in range(1, 22):
        for last in range(first, 24):
            assert list(journal_of(here).read_range(first, last)) == stored[first - 1 : last]


def test_a_short_range_asks_for_no_segment(here: Container, world: World) -> None:
    write(here, 12)
    compact(here)
    asked = here.store.count("get", SEGMENTS) + here.store.count("list", SEGMENTS)

    assert list(journal_of(here).read_range(7, 7)) == world.stored()[6:7]
    assert here.store.count("get", SEGMENTS) + here.store.count("list", SEGMENTS) == asked


def _recompressed(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda packed: gzip.compress(change(gzip.decompress(packed)))


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda packed: b"",
    "not gzip": lambda packed: b"not gzip",
    "cut short": lambda packed: packed[: len(packed) // 2],
    "followed by more": lambda packed: packed + packed,
    "nothing inside": lambda packed: gzip.compress(b""),
    "letters of an entry": _recompressed(lambda unpacked: unpacked.replace(b"text ", b"txet ", 1)),
    "letters of the last": _recompressed(
        lambda unpacked: b"txet ".join(unpacked.rsplit(b"text ", 1))
    ),
    "no index": _recompressed(lambda unpacked: unpacked[:-40]),
    "index of nonsense": _recompressed(lambda unpacked: unpacked[:-8] + b"\xff" * 8),
    "lengths that lie": _recompressed(lambda unpacked: unpacked.replace(b"[", b"[1,", 99)),
}


@pytest.mark.parametrize("name", DAMAGE)
@pytest.mark.parametrize("level", [1, 2])
def test_a_damaged_one_is_passed_over(name: str, level: int, here: Container, world: World) -> None:
    write(here, 12)
    made = compact(here)
    for segment in made:
        if segment.level == level:
            world.bucket.tamper(segment.key, DAMAGE[name](world.store.get(segment.key)))
        else:
            world.store.delete(segment.key)

    cold = cold_start(world)

    assert cold.store.count("get", SEGMENTS) > 0
    assert cold.follower.trouble is None
    assert cold.dump() == here.dump()


def test_an_entry_that_says_twice_what_it_follows_follows_what_replicas_read() -> None:
    """Else the last entry vouches for others than replicas hold, and the trail keeps those."""
    true, forged = (encode(Entry(1, name, "w", "", 0, database="d")) for name in ("true", "forged"))
    second = encode(Entry(2, "c2", "w", digest(forged), 0))
    twice = second.replace(b',"time_ms"', b',"prev":"%s","time_ms"' % digest(true).encode(), 1)
    assert decode(twice, 2).prev == digest(true)

    check_chain(1, [true, twice], "")
    with pytest.raises(ChainBroken, match="entry 2 does not follow"):
        check_chain(1, [forged, twice], "")


def test_one_that_unpacks_without_end_is_passed_over(
    here: Container, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(here, 12)
    made = compact(here)
    monkeypatch.setattr(segments, "UNPACKED_BYTES_MAX", 10_000)
    for segment in made:
        world.bucket.tamper(segment.key, gzip.compress(bytes(1 << 20)))

    assert cold_start(world).dump() == here.dump()


def test_one_of_another_history_is_passed_over(here: Container, world: World) -> None:
    """Whole in itself, and under a name that promises it: only the journal's own entry tells."""
    write(here, 12)
    made = compact(here)
    forged = [stored.replace(b"text", b"lies") for stored in world.stored()[:10]]
    for seq, stored in enumerate(forged[1:], 1):
        before = world.stored()[seq - 1]
        forged[seq] = stored.replace(digest(before).encode(), digest(forged[seq - 1]).encode())
    for segment in made:
        world.store.delete(segment.key)
    name = name_of(1, 10, sum(map(len, forged)), digest(forged[-1]), 2)
    world.store.create(SEGMENTS + name, pack(1, forged, ""))

    cold = cold_start(world)

    assert cold.store.count("get", SEGMENTS) == 1
    assert cold.dump() == here.dump()


def test_names_that_no_maker_gives_are_no_segments(world: World) -> None:
    hash_ = "0" * 64
    for name in (
        name_of(1, 1 + segments.SPAN_ENTRIES_MAX, 1, hash_, 1),
        name_of(9, 8, 1, hash_, 1),
        name_of(1, 5, 1, hash_, 3),
        name_of(1, 5, 1, hash_[1:], 1),
        "notes.txt",
    ):
        world.store.create(SEGMENTS + name, b"")

    assert list(stored_segments(world.store, PREFIX, 1)) == []


def test_where_segments_cannot_be_listed_or_read_single_entries_are(
    here: Container, world: World
) -> None:
    write(here, 22)
    compact(here)
    cold = world.container("cold", opened=False)
    cold.store.inject("list", drop, key=SEGMENTS)
    cold.open(cold.database)
    colder = world.container("colder", opened=False)
    colder.store.inject("get", refuse(Denied("403")), key=SEGMENTS, times=9)
    colder.open(colder.database)

    assert cold.dump() == colder.dump() == here.dump()


def test_a_gap_is_found_though_a_segment_holds_the_entry(here: Container, world: World) -> None:
    write(here, 12)
    compact(here)
    world.bucket.delete(key(7))
    world.sound = False

    cold = world.container("cold", opened=False)

    [trouble] = cold.database.troubles()
    assert trouble.startswith("journal entry 7 is missing")


def test_a_replica_of_another_history_is_found_out_by_segments_too(
    here: Container, world: World
) -> None:
    write(here, 12)
    [segment] = [each for each in compact(here) if each.level == 2]
    with pytest.raises(SegmentDamaged, match="does not end with entry 10"):
        proven(world.store, segment, lambda seq: b"another")


def test_few_names_are_held_at_once(world: World) -> None:
    made = [Segment(f"k{n}", n * 5 + 1, n * 5 + 5, 0, "", 1, 1) for n in range(1000)]
    large = Segment("large", 1, 50, 0, "", 2, 1)
    ahead = Ahead(iter(sorted([*made, large], key=lambda each: each.first)))

    seen = {seq: [each.key for each in ahead.around(seq)] for seq in range(1, 5001)}

    assert sorted(seen[7]) == ["k1", "large"]
    assert seen[51] == ["k10"]
    assert len(ahead._around) == 1
