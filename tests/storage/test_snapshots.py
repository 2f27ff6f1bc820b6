"""Snapshots: a cold start is the newest and the entries after it; one container makes one."""

import os

import pytest

from shared.storage import snapshot
from shared.storage.idempotency import with_rows
from shared.storage.snapshot import Snapshot, Snapshots
from tests.storage.world import (
    CATALOGUE,
    JOURNAL,
    PREFIX,
    SNAPSHOTS,
    Container,
    World,
    note,
)


@pytest.fixture(autouse=True)
def _worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "REPLAY_BYTES_MIN", 1)


def snapshots(container: Container) -> Snapshots:
    return Snapshots(container.store, PREFIX, with_rows(CATALOGUE), container.clock)


def write(container: Container, count: int) -> None:
    for number in range(count):
        container.database.transact(note(f"n{number}", f"text {number}"))


def snapshot_of(container: Container) -> Snapshot:
    made = snapshots(container)
    claim = made.due(container.replica.head(), 0)
    assert claim is not None
    done = made.make(claim, container.replica, container.root)
    assert done is not None
    return done


def test_a_cold_start_reads_the_snapshot_and_the_entries_after_it(
    here: Container, world: World
) -> None:
    write(here, 12)
    made = snapshot_of(here)
    write(here, 3)

    cold = world.container("cold")

    assert made.seq == 13
    assert cold.dump() == here.dump() == world.replayed()
    assert cold.store.count("get", SNAPSHOTS) == 1
    # Entry 1 names the database, entry 13 confirms the snapshot; then what is new, and the head.
    assert cold.store.count("get", JOURNAL) < made.seq


def test_nothing_is_due_while_replaying_stays_cheap(
    here: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "REPLAY_BYTES_MIN", 1 << 20)
    write(here, 5)

    assert snapshots(here).due(here.replica.head(), 0) is None


def test_one_is_due_when_a_sixth_of_a_copy_would_be_replayed(here: Container) -> None:
    write(here, 5)
    head = here.replica.head()
    made = snapshots(here)

    assert made.due(head, 6 * head.bytes + 6) is None
    assert made.due(head, 6 * head.bytes) is not None


def test_the_database_goes_by_what_a_copy_of_its_replica_takes(here: Container) -> None:
    write(here, 30)
    here.database.transact(
        lambda tx: [tx.put("notes", f"l{n}", {"t": "x" * 3000}) for n in range(99)]
    )
    here.database.transact(lambda tx: [tx.delete("notes", f"l{n}") for n in range(99)])
    copy = here.root / "copy.sqlite"
    snapshot.vacuum_into(here.replica.path, copy)

    used = here.replica.used_bytes()

    # Not by the file, in which what was deleted leaves free pages.
    assert copy.stat().st_size <= used < copy.stat().st_size * 1.5
    assert used < here.replica.path.stat().st_size + here.replica.log.size() - 99 * 3000
    head = here.replica.head()
    assert here.database._snapshot_due(head) is not None
    small = head._replace(bytes=used // 6 - 1)
    assert here.database._snapshot_due(small) is None


def test_one_of_two_containers_makes_it(here: Container, there: Container) -> None:
    write(here, 3)
    there.probe()
    claims = {snapshots(each).due(each.replica.head(), 0) for each in (here, there)}
    (claim,) = claims
    assert claim is not None

    made = [snapshots(each).make(claim, each.replica, each.root) for each in (here, there)]

    assert [one is not None for one in made] == [True, False]


def test_the_work_of_a_maker_that_died_is_claimed_again_as_the_journal_grows(
    here: Container,
) -> None:
    write(here, 3)
    lost = snapshots(here).due(here.replica.head(), 0)
    assert lost is not None
    here.store.create(lost, b"{}")  # and then its maker died

    write(here, 1)

    assert snapshots(here).due(here.replica.head(), 0) != lost
    assert snapshot_of(here).seq == 5


def test_two_are_kept(here: Container, world: World) -> None:
    made = []
    for _ in range(4):
        write(here, 2)
        made.append(snapshot_of(here))

    kept = [each.key for each in snapshots(here).newest_first()]

    assert kept == [made[3].key, made[2].key]
    assert world.head() == 9


def test_those_of_other_indexes_go_when_they_are_older(here: Container, world: World) -> None:
    def foreign(seq: int) -> str:
        key = f"{SNAPSHOTS}{seq:020d}-1-{'0' * 64}-{'f' * 12}-1.sqlite.gz"
        world.store.create(key, b"of another release")
        return key

    abandoned, in_use = foreign(1), foreign(1000)
    for _ in range(2):
        write(here, 2)
        snapshot_of(here)

    kept = [info.key for info in world.store.list(SNAPSHOTS)]

    assert abandoned not in kept
    assert in_use in kept


def test_what_a_killed_maker_left_is_removed_and_a_living_ones_is_not(here: Container) -> None:
    left, living = here.root / "snapshot-left", here.root / "snapshot-living"
    for folder in (left, living):
        folder.mkdir()
        (folder / "copy.sqlite").touch()
    long_ago = left.stat().st_mtime - 3 * snapshot.MAKE_SECONDS_MAX
    os.utime(left, (long_ago, long_ago))

    write(here, 2)
    snapshot_of(here)

    assert not left.exists()
    assert living.exists()


def test_one_of_another_history_is_passed_over(here: Container, world: World) -> None:
    write(here, 4)
    made = snapshot_of(here)
    forged = made.key.replace(made.hash, "0" * 64)
    world.store.create(forged, world.store.get(made.key))
    world.store.delete(made.key)

    cold = world.container("cold")

    assert cold.store.count("get", forged) == 0
    assert cold.dump() == here.dump()


def test_those_of_a_history_that_was_restored_away_keep_none_from_being_made(
    here: Container, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(here, 4)
    saved = [info.key for info in world.journal()]
    lost = []
    for _ in range(2):
        write(here, 20)
        lost.append(snapshot_of(here))
    here.close()
    for info in world.journal():
        if info.key not in saved:
            world.bucket.delete(info.key)
    here.process()
    monkeypatch.setattr(snapshot, "REPLAY_BYTES_MIN", lost[0].journal_bytes // 4)

    write(here, 6)
    made = snapshot_of(here)

    assert made.seq == len(saved) + 6 < lost[0].seq
    assert made in snapshots(here).newest_first(), "and it is not removed for their sake"
    cold = world.container("cold")
    assert cold.store.count("get", made.key) == 1
