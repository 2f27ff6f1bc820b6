"""Verifying a journal: that its chain is unbroken, and that whatever was derived from it agrees.

One walk over the entries does all of it. A replica is built from entry 1 on the way. Each snapshot
is unpacked and brought along from where it stands, and compared at the end. A copy of each local
replica is compared when the walk comes to its entry. Replicas are compared by their documents
(collection, key, revision, version, body) in order, never by their files.

Hashes known from elsewhere are anchors: the operator's own, which was kept outside the bucket, and
those that snapshots and local replicas carry. Only an anchor can tell that the journal's last
entries are gone or were replaced as a whole.
"""

import hashlib
import heapq
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path

import orjson

from shared.clock import Clock
from shared.storage import replica as replicas
from shared.storage.archive import named_volumes
from shared.storage.audit import Chain, Link, Progress, Report, replica_paths
from shared.storage.catalogue import Catalogue
from shared.storage.entry import UnreadableEntry
from shared.storage.journal import Journal, JournalGap
from shared.storage.objects import Absent, ObjectStore
from shared.storage.reader import ReplicaBroken
from shared.storage.rebuilding import LOOK_SECONDS, catch_up, each_volume, usable_snapshots
from shared.storage.replica import Replica
from shared.storage.snapshot import Snapshot, SnapshotDamaged, unpack, vacuum_into

DIFFERENCES_MAX = 10
"""Of one replica: enough to see what happened, and where to look on."""

Row = tuple[str, str, int, int, str]


@dataclass(frozen=True, slots=True)
class Anchor:
    """An entry's hash as `whose` has it; `seq` is None where it may be any entry's."""

    whose: str
    hash: str
    seq: int | None


@dataclass(frozen=True, slots=True)
class Copy:
    """A replica to be compared with the journal, and the entry that it was found at."""

    whose: str
    replica: Replica
    seq: int


@dataclass(slots=True)
class Verified:
    """What was walked and found to agree.

    `by_segments` of the entries were taken from `segments`, for which the entries at their ends
    vouch; all others from their own keys. `seq`, `hash` and `time_ms` are the last entry's;
    `rebuilt_seq` is the last up to which nothing was wrong, and `documents` and `digest` (of their
    canonical dump) are as of it. So are the `archived` documents in `volumes`, each of them read
    whole; or of later, where an archiver went on meanwhile. `uncompared` stand beyond it.
    """

    entries: int = 0
    by_segments: int = 0
    segments: int = 0
    volumes: int = 0
    archived: int = 0
    bytes: int = 0
    seq: int = 0
    hash: str = ""
    time_ms: int = 0
    rebuilt_seq: int = 0
    documents: int = 0
    digest: str = ""
    agreeing: tuple[str, ...] = ()
    uncompared: tuple[str, ...] = ()


class Verification:
    """One verification of the journal under `prefix`; works in the folder `workplace`.

    Use as a context manager. What is wrong goes to `report`; StoreError and ReplicaBroken mean
    that the verification itself could not be done.
    """

    def __init__(
        self, store: ObjectStore, prefix: str, clock: Clock, workplace: Path, report: Report
    ) -> None:
        self._store = store
        self._prefix = prefix
        self._clock = clock
        self._workplace = workplace
        self._report = report
        self._anchors: list[Anchor] = []
        self._snapshots: list[Copy] = []
        self._copies: list[Copy] = []
        self._opened = ExitStack()
        self._files = 0
        self._verified = Verified()

    def __enter__(self) -> "Verification":
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    # What to verify against

    def expect(self, hash: str, seq: int | None) -> None:  # noqa: A002 - its name
        """Expect an entry with this hash: entry `seq`, or any."""
        self._anchors.append(Anchor("the hash given", hash, seq))

    def add_snapshots(self) -> None:
        """Verify every stored snapshot that this release can read."""
        for snapshot in usable_snapshots(self._store, self._prefix):
            whose = f"snapshot {snapshot.key}"
            self._anchors.append(Anchor(whose, snapshot.hash, snapshot.seq))
            replica = self._unpacked(whose, snapshot)
            if replica is not None:
                self._snapshots.append(Copy(whose, replica, snapshot.seq))

    def _unpacked(self, whose: str, snapshot: Snapshot) -> Replica | None:
        path = self._new_path()
        try:
            unpack(self._store, snapshot, path)
            return self._open(path)
        except Absent:  # superseded and removed since it was listed
            return None
        except (SnapshotDamaged, ReplicaBroken) as error:
            self._report(f"{whose}: {error}")
            return None

    def add_replicas(self, root: Path, database: str) -> int:
        """Verify the journal's replicas under `root`, as they are now; how many there are."""
        paths = replica_paths(root, database)
        for path in paths:
            whose = f"replica {path}"
            try:
                replica = self._copied(path)
                head = replica.head()
            except (sqlite3.Error, ReplicaBroken) as error:
                self._report(f"{whose}: cannot be read: {error}")
                continue
            self._anchors.append(Anchor(whose, head.hash, head.seq))
            self._copies.append(Copy(whose, replica, head.seq))
        return len(paths)

    def _copied(self, path: Path) -> Replica:
        copy = self._new_path()
        vacuum_into(path, copy)
        with closing(sqlite3.connect(copy)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
        return self._open(copy)

    def _new_path(self) -> Path:
        self._files += 1
        return self._workplace / f"{self._files}.db"

    def _open(self, path: Path) -> Replica:
        return self._opened.enter_context(closing(Replica(path, Catalogue(), self._clock)))

    # Verifying

    def run(self, database: str, progress: Progress, *, singly: bool = False) -> Verified:
        """Walk the journal once; `singly`, every entry is read under its own key."""
        chain = Chain(self._store, self._prefix, self._clock, self._report, singly=singly)
        path = self._new_path()
        replicas.build(path, Catalogue(), database)
        zero = self._open(path)
        with progress("entries", chain.last()) as step:
            for link in chain.links():
                self._count(link)
                self._check_anchors(link)
                if link.whole:
                    self._follow(zero, link)
                step(1)
        self._finish(zero)
        self._check_volumes(zero)
        self._verified.segments, self._verified.by_segments = chain.segments, chain.by_segments
        return self._verified

    def _count(self, link: Link) -> None:
        verified = self._verified
        verified.entries += 1
        verified.bytes += len(link.stored)
        verified.seq, verified.hash = link.seq, link.hash
        if link.entry is not None:
            verified.time_ms = link.entry.time_ms

    def _check_anchors(self, link: Link) -> None:
        named = (link.seq, None)
        met = [a for a in self._anchors if a.seq in named and (a.seq or a.hash == link.hash)]
        for anchor in met:
            self._anchors.remove(anchor)
            if anchor.hash != link.hash:
                self._report(
                    f"entry {link.seq}: is stored with the hash {link.hash[:12]}…, "
                    f"{anchor.whose} has it as {anchor.hash[:12]}…"
                )

    def _follow(self, zero: Replica, link: Link) -> None:
        zero.apply(link.stored, link.seq)
        self._verified.rebuilt_seq = link.seq
        for copy in [each for each in self._snapshots if each.seq < link.seq]:
            try:
                copy.replica.apply(link.stored, link.seq)
            except (ReplicaBroken, UnreadableEntry) as error:
                self._report(f"{copy.whose}: cannot be brought to entry {link.seq}: {error}")
                self._snapshots.remove(copy)
        for copy in self._copies:
            if copy.seq == link.seq:
                self._compare(zero, copy)

    def _finish(self, zero: Replica) -> None:
        for anchor in self._anchors:
            where = "no entry has it" if anchor.seq is None else f"there is no entry {anchor.seq}"
            self._report(f"{anchor.whose}: {where}; the journal ends at entry {self._verified.seq}")
        self._verified.documents, self._verified.digest = _digest(zero)
        reached = self._verified.rebuilt_seq
        for copy in self._snapshots:
            if copy.seq <= reached:
                self._compare(zero, copy)
        beyond = [copy.whose for copy in self._snapshots + self._copies if copy.seq > reached]
        self._verified.uncompared = tuple(beyond)

    def _check_volumes(self, zero: Replica) -> None:
        """Every volume that the journal names, against what it says of it."""
        counts: dict[str, int] = {}
        for volume, found in each_volume(
            self._store, self._prefix, zero, lambda: self._come_level(zero)
        ):
            if isinstance(found, list):
                counts[volume.object] = len(found)
            else:
                self._report(f"volume {volume.key(self._prefix)}: {found}")
        with zero.reading(LOOK_SECONDS) as reader:
            named = [counts.get(each.object) for each in named_volumes(reader)]
        sound = [count for count in named if count is not None]
        self._verified.volumes, self._verified.archived = len(sound), sum(sound)

    def _come_level(self, zero: Replica) -> None:
        """Take in what was written since the walk, unless that came upon damage."""
        if self._verified.rebuilt_seq < self._verified.seq:
            return
        journal = Journal(self._store, self._prefix, self._clock)
        try:
            catch_up(zero, journal, lambda *_: nullcontext(lambda _: None))
        except (UnreadableEntry, JournalGap) as error:
            self._report(str(error))

    def _compare(self, zero: Replica, copy: Copy) -> None:
        try:
            found = _differences(zero, copy.replica)
        except (ReplicaBroken, sqlite3.Error) as error:
            found = [str(error)]
        for difference in found:
            self._report(f"{copy.whose}: {difference}")
        if not found:
            self._verified.agreeing += (f"{copy.whose}, at entry {zero.head().seq}",)


def _digest(replica: Replica) -> tuple[int, str]:
    """How many documents there are, and the SHA-256 of their canonical dump."""
    total, count = hashlib.sha256(), 0
    with replica.reading(LOOK_SECONDS) as reader:
        for row in reader.dump():
            total.update(_canonical(row))
            count += 1
    return count, total.hexdigest()


def _canonical(row: Row) -> bytes:
    """One line of the dump: the same for the same document, however its JSON was written."""
    *name, body = row
    return orjson.dumps([*name, orjson.loads(body)], option=orjson.OPT_SORT_KEYS) + b"\n"


def _differences(zero: Replica, other: Replica) -> list[str]:
    """In what another replica differs from the one built from entry 1; empty if in nothing."""
    if _digest(zero) == _digest(other):
        return []
    with zero.reading(LOOK_SECONDS) as true, other.reading(LOOK_SECONDS) as tested:
        found = list(islice(_unlike(true.dump(), tested.dump()), DIFFERENCES_MAX + 1))
    return [*found[:DIFFERENCES_MAX], "and more"] if len(found) > DIFFERENCES_MAX else found


def _unlike(true: Iterator[Row], tested: Iterator[Row]) -> Iterator[str]:
    tagged = heapq.merge(
        ((row, True) for row in true), ((row, False) for row in tested), key=_name_of
    )
    for name, rows in groupby(tagged, key=_name_of):
        found = {is_true: row for row, is_true in rows}
        if True not in found:
            yield f"{'/'.join(name)} is not in the journal"
        elif False not in found:
            yield f"{'/'.join(name)} is missing"
        elif _canonical(found[True]) != _canonical(found[False]):
            revisions = f"it has revision {found[False][2]}, the journal {found[True][2]}"
            yield f"{'/'.join(name)} differs: {revisions}"


def _name_of(tagged: tuple[Row, bool]) -> tuple[str, str]:
    row, _ = tagged
    return row[:2]
