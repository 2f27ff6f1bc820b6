"""A replica of the journal's present, in a place of its own, for whoever only wants to look.

It begins at the newest snapshot that the journal vouches for, whatever indexes that one has, and at
entry 1 where there is none.
"""

from pathlib import Path

from shared.clock import Clock
from shared.storage import replica as replicas
from shared.storage.audit import Progress, Report, located
from shared.storage.catalogue import Catalogue
from shared.storage.entry import digest
from shared.storage.journal import Journal
from shared.storage.objects import Absent, ObjectStore
from shared.storage.replica import Replica
from shared.storage.snapshot import Snapshot, SnapshotDamaged, stored_snapshots, unpack

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
    _catch_up(replica, journal, progress)
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


def _catch_up(replica: Replica, journal: Journal, progress: Progress) -> None:
    first = replica.head().seq + 1
    last = journal.head_from(first - 1)
    if first > last:
        return
    with progress("entries", last - first + 1) as step:
        for seq, stored in enumerate(journal.read_range(first, last), first):
            replica.apply(stored, seq)
            step(1)
