"""A replica of the journal's present, in a place of its own, for whoever only wants to look.

It begins at the newest snapshot that the journal vouches for, whatever indexes that one has, and at
entry 1 where there is none.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from shared.clock import Clock
from shared.storage import replica as replicas
from shared.storage.archive import Volume, named_volumes, read_volume
from shared.storage.audit import Progress, Report, located
from shared.storage.catalogue import Catalogue
from shared.storage.entry import digest
from shared.storage.journal import Journal
from shared.storage.objects import Absent, ObjectStore
from shared.storage.replica import Replica
from shared.storage.snapshot import Snapshot, SnapshotDamaged, stored_snapshots, unpack
from shared.storage.volume import Archived, VolumeDamaged

LOOK_SECONDS = 3600.0
"""Nobody else uses a copy of one's own, so reading it may take as long as it takes."""


def usable_snapshots(store: ObjectStore, prefix: str) -> list[Snapshot]:
    """Stored snapshots whose tables this release knows, newest first."""
    found = stored_snapshots(store, prefix)
    return [each for each in found if each.fingerprint.endswith(f"-{replicas.FORMAT}")]


def rebuilt(
    store: ObjectStore, prefix: str, clock: Clock, path: Path, progress: Progress, report: Report
) -> Replica:
    """A replica at `path` that stands at the journal's head.

    A damaged snapshot is reported and passed over. Raises StoreError, UnreadableEntry, JournalGap.
    """
    journal = Journal(store, prefix, clock)
    database = located(store, prefix, clock)
    if not any(
        _restored(store, journal, snapshot, path, report)
        for snapshot in usable_snapshots(store, prefix)
    ):
        replicas.build(path, Catalogue(), database)
    replica = Replica(path, Catalogue(), clock)
    catch_up(replica, journal, progress)
    return replica


def _restored(
    store: ObjectStore, journal: Journal, snapshot: Snapshot, path: Path, report: Report
) -> bool:
    stored = journal.read(snapshot.seq)
    if stored is None or digest(stored) != snapshot.hash:
        report(f"snapshot {snapshot.key}: is not of this journal")
        return False
    try:
        unpack(store, snapshot, path)
    except Absent:  # superseded and removed since it was listed
        return False
    except SnapshotDamaged as error:
        report(f"snapshot {snapshot.key}: {error}")
        path.unlink(missing_ok=True)
        return False
    return True


def catch_up(replica: Replica, journal: Journal, progress: Progress) -> None:
    """Bring a replica to the journal's head. Raises StoreError, UnreadableEntry, JournalGap."""
    first = replica.head().seq + 1
    last = journal.head_from(first - 1)
    if first > last:
        return
    with progress("entries", last - first + 1) as step:
        for seq, stored in enumerate(journal.read_range(first, last), first):
            replica.apply(stored, seq)
            step(1)


def each_volume(
    store: ObjectStore, prefix: str, replica: Replica, come_level: Callable[[], object]
) -> Iterator[tuple[Volume, list[Archived] | Absent | VolumeDamaged]]:
    """Every volume that the replica names in the end, and some that it named before, read whole.

    An archiver may supersede one, and remove it, at any moment. So of what is not there the replica
    is asked again when it has `come_level` with the journal; what it still names then is lost.
    Nothing may be read from the replica between two of them. Raises StoreError.
    """
    seen, missed = set[str](), set[str]()
    goes_on = True
    while goes_on:
        goes_on = False
        with replica.reading(LOOK_SECONDS) as reader:
            for volume in named_volumes(reader):
                if volume.object in seen:
                    continue
                found = _read(store, prefix, volume)
                if isinstance(found, Absent) and volume.object not in missed:
                    missed.add(volume.object)
                    goes_on = True
                else:
                    seen.add(volume.object)
                    yield volume, found
        if goes_on:
            come_level()


def _read(
    store: ObjectStore, prefix: str, volume: Volume
) -> list[Archived] | Absent | VolumeDamaged:
    try:
        return read_volume(store, prefix, volume)
    except (Absent, VolumeDamaged) as error:
        return error
