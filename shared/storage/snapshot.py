"""Snapshots: compressed copies of a replica, so that a cold start need not replay every entry.

    ‹prefix›snapshots/‹20-digit seq›-‹journal bytes›-‹entry hash›-‹fingerprint›.sqlite.gz

Derived and never needed for correctness: one that is missing, damaged, of other indexes or of
another history is passed over. Name and content both carry seq, hash and fingerprint, and the
journal's own entry must agree. The two newest are kept.

The copy is made by `python -m shared.storage.snapshot`, a separate process at low priority: VACUUM
INTO reads one state from beginning to end (SQLite's stepped backup started anew 1,064 times under
load), and none of it runs on the interpreter that serves requests.
"""

import io
import logging
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from isal import igzip, isal_zlib

from shared.clock import Clock
from shared.storage import replica as replicas
from shared.storage.catalogue import Catalogue
from shared.storage.claims import Claims
from shared.storage.entry import digest
from shared.storage.journal import Journal
from shared.storage.objects import ObjectStore, StoreError
from shared.storage.reader import Head, checksum
from shared.storage.replica import Replica

log = logging.getLogger(__name__)

KEPT = 2

REPLAY_BYTES_MIN = 16 << 20
"""Less than this to replay is never worth a snapshot."""

REPLAY_SHARE = 6
"""A snapshot is due when more than this part of what it unpacks to would be replayed."""

MAKE_SECONDS_MAX = 600.0

_FOLDER = "snapshot-"

_NAME = re.compile(r"(\d{20})-(\d+)-([0-9a-f]{64})-([0-9a-f]{12}-\d+)\.sqlite\.gz")


class SnapshotDamaged(Exception):  # noqa: N818 - names the thing found
    """A stored snapshot is not the whole and sound copy that its name promises."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One stored snapshot, as its name tells it."""

    key: str
    seq: int
    journal_bytes: int
    hash: str
    fingerprint: str
    size_bytes: int


def stored_snapshots(store: ObjectStore, prefix: str) -> list[Snapshot]:
    """All the snapshots of the journal under `prefix`, newest first, whatever their indexes."""
    folder = f"{prefix}snapshots/"
    found: list[Snapshot] = []
    page = store.list(folder)
    while page:
        named = [(info, _NAME.fullmatch(info.key[len(folder) :])) for info in page]
        found += [
            Snapshot(info.key, int(name[1]), int(name[2]), name[3], name[4], info.size_bytes)
            for info, name in named
            if name
        ]
        page = store.list(folder, after=page[-1].key)
    return found[::-1]


def unpack(store: ObjectStore, snapshot: Snapshot, path: Path) -> None:
    """Put the copy that a snapshot holds at `path`. Raises SnapshotDamaged and StoreError."""
    packed = store.get(snapshot.key)
    try:
        with igzip.open(io.BytesIO(packed)) as source, path.open("wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
        _confirm(path, snapshot)
    except (igzip.BadGzipFile, EOFError, isal_zlib.error, sqlite3.Error) as error:
        raise SnapshotDamaged(f"cannot be unpacked: {error}") from error


class Snapshots:
    """The snapshots of one journal that fit one catalogue."""

    def __init__(self, store: ObjectStore, prefix: str, catalogue: Catalogue, clock: Clock) -> None:
        self._store = store
        self._journal_prefix = prefix
        self._journal = Journal(store, prefix, clock)
        self._prefix = f"{prefix}snapshots/"
        self._claims = Claims(store, self._prefix)
        self._fingerprint = f"{catalogue.fingerprint()}-{replicas.FORMAT}"

    def newest_first(self) -> list[Snapshot]:
        """Stored snapshots of this catalogue."""
        found = stored_snapshots(self._store, self._journal_prefix)
        return [snapshot for snapshot in found if snapshot.fingerprint == self._fingerprint]

    def _belongs(self, snapshot: Snapshot) -> bool:
        """Whether the journal holds the snapshot's entry, by its hash: after a restore there may be
        some of a history that is no more.
        """
        stored = self._journal.read(snapshot.seq)
        return stored is not None and digest(stored) == snapshot.hash

    def restore(self, path: Path) -> bool:
        """Put the newest usable snapshot at `path`; False where there is none."""
        for snapshot in self.newest_first():
            try:
                if not self._belongs(snapshot):
                    continue
                unpack(self._store, snapshot, path)
            except (StoreError, SnapshotDamaged) as error:
                log.warning("snapshot %s is passed over: %s", snapshot.key, error)
                path.unlink(missing_ok=True)
            else:
                return True
        return False

    def due(self, head: Head, copy_bytes: int) -> str | None:
        """The claim under which a snapshot may be made now; None while replaying stays cheap.

        Due is when more bytes of entries would be replayed than a sixth of `copy_bytes`, those
        of a copy. Neither is packed: entries take several times what they do in a packed copy, and
        measured by that one would be due before the last one is made (docs/decisions/0009).
        """
        newest = next(filter(self._belongs, self.newest_first()), None)
        seq, done = (newest.seq, newest.journal_bytes) if newest else (0, 0)
        times = (head.bytes - done) // max(REPLAY_BYTES_MIN, copy_bytes // REPLAY_SHARE)
        return self._claims.name(seq, times)

    def make(self, claim: str, source: Replica, workplace: Path) -> Snapshot | None:
        """Make and store a snapshot of what `source` now holds; None if another has the claim."""
        if not self._claims.take(claim):
            return None
        _sweep(workplace)
        with tempfile.TemporaryDirectory(dir=workplace, prefix=_FOLDER) as folder:
            copy = Path(folder) / "copy.sqlite"
            _run_maker(source.path, copy)
            made = Path(f"{copy}.gz").read_bytes()
            head = _head_of(copy)
        name = f"{head.seq:020d}-{head.bytes}-{head.hash}-{self._fingerprint}.sqlite.gz"
        self._store.create(self._prefix + name, made)
        self._prune()
        return Snapshot(
            self._prefix + name, head.seq, head.bytes, head.hash, self._fingerprint, len(made)
        )

    def _prune(self) -> None:
        found = list(islice(filter(self._belongs, self.newest_first()), KEPT))
        # A container that saw the one before the newest may still be on its way to claim.
        oldest = found[-1].seq if len(found) == KEPT else 0
        # Those of other indexes too: a release that still uses such has made newer ones by now.
        for old in stored_snapshots(self._store, self._journal_prefix):
            if old.seq < oldest:
                self._store.delete(old.key)
        self._claims.clear(oldest)


def _sweep(workplace: Path) -> None:
    """Remove what makers that were killed left: no maker works for longer than it may."""
    # A file's age by the clock of the disk it is on, whatever this machine's clock says.
    with tempfile.NamedTemporaryFile(dir=workplace) as now:
        newest = os.fstat(now.fileno()).st_mtime
    for folder in workplace.glob(f"{_FOLDER}*"):
        with suppress(FileNotFoundError):
            if folder.stat().st_mtime < newest - 2 * MAKE_SECONDS_MAX:
                shutil.rmtree(folder, ignore_errors=True)


def _confirm(path: Path, snapshot: Snapshot) -> None:
    """Raise SnapshotDamaged unless the file is what its name says, whole and sound."""
    connection = sqlite3.connect(path)
    try:
        if connection.execute("PRAGMA quick_check").fetchone() != ("ok",):
            raise SnapshotDamaged("holds a damaged copy")
        about = dict(connection.execute("SELECT name, value FROM about"))
        connection.execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()
    head = _head_of(path)
    found = (head.seq, head.bytes, head.hash, f"{about.get('fingerprint')}-{about.get('format')}")
    if found != (snapshot.seq, snapshot.journal_bytes, snapshot.hash, snapshot.fingerprint):
        raise SnapshotDamaged("holds another copy than its name says")


def _head_of(path: Path) -> Head:
    connection = sqlite3.connect(path)
    try:
        row = connection.execute("SELECT seq, hash, time_ms, bytes FROM head").fetchone()
    finally:
        connection.close()
    if row is None:
        raise sqlite3.DatabaseError("the copy has no head")
    return Head._make(row)


def _run_maker(source: Path, copy: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "shared.storage.snapshot", str(source), str(copy)],
        check=True,
        timeout=MAKE_SECONDS_MAX,
        cwd=Path(__file__).parents[2],
    )


def vacuum_into(source: Path, copy: Path) -> None:
    """Write one state of a live replica to a new file. Raises sqlite3.Error."""
    connection = sqlite3.connect(f"{source.absolute().as_uri()}?mode=rw", uri=True, timeout=10)
    try:
        connection.execute("VACUUM INTO ?", (str(copy),))
    finally:
        connection.close()


def _check_rows(copy: Path) -> None:
    # A damaged row would otherwise come back with every rebuild from this snapshot.
    connection = sqlite3.connect(copy)
    try:
        rows = connection.execute("SELECT collection, key, revision, version, body, sum FROM docs")
        for *row, total in rows:
            if checksum(*row) != total:
                raise SystemExit(f"no snapshot: the row {row[0]}/{row[1]} is damaged")
    finally:
        connection.close()


def copy_replica(source: Path, copy: Path) -> None:
    """Copy one state of a live replica to `copy`, and compressed beside it, at low priority."""
    os.nice(10)
    vacuum_into(source, copy)
    _check_rows(copy)
    with copy.open("rb") as plain, igzip.open(f"{copy}.gz", "wb", compresslevel=1) as packed:
        shutil.copyfileobj(plain, packed, 1 << 20)


if __name__ == "__main__":
    copy_replica(Path(sys.argv[1]), Path(sys.argv[2]))
