"""A small journal with history, its snapshot and its replica, for tests to damage."""

import gzip
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.clock import SystemClock
from shared.storage.__main__ import main
from shared.storage.access import Document, Transaction
from shared.storage.catalogue import Catalogue, Collection, Index
from shared.storage.database import JournalDatabase
from shared.storage.entry import digest
from shared.storage.memory import MemoryBucket, MemoryStore
from shared.storage.objects import ObjectStore
from shared.storage.reader import checksum
from shared.storage.snapshot import Snapshots
from tests.support.clock import FakeClock

PREFIX = "commerce/"
ENTRIES = 20
SNAPSHOT_AT = 12

CATALOGUE = Catalogue(
    Collection("products", text=("name",)),
    Collection("orders", indexes=(Index("orders_by_product", ("product",)),)),
)


def product(tx: Transaction) -> Document:
    tx.emit("product-added", {"name": "百合"})
    return tx.put("products", tx.new_id("product"), {"name": "兰州百合", "price": 4_900})


def fill(store: ObjectStore, directory: Path) -> None:
    """Write `ENTRIES` entries, with deletions and overwritten documents, and a snapshot midway."""
    database = JournalDatabase(
        store,
        CATALOGUE,
        prefix=PREFIX,
        directory=directory,
        clock=SystemClock(),
        writer="container-1",
    )
    with closing(database):
        lily = database.transact(product).value.key
        for seq in range(3, ENTRIES + 1):
            database.transact(lambda tx, seq=seq: _ordinary(tx, seq, lily))
            if seq == SNAPSHOT_AT:
                _snapshot(store, database, directory)


def _ordinary(tx: Transaction, seq: int, lily: str) -> None:
    tx.put("orders", f"order-{seq:03}", {"product": lily, "count": seq})
    stored = tx.require("products", lily)
    tx.put("products", lily, {**stored.body, "sold": seq})
    if seq % 4 == 0:
        tx.delete("orders", f"order-{seq - 1:03}")


def _snapshot(store: ObjectStore, database: JournalDatabase, directory: Path) -> None:
    replica = database._opened().follower.replica
    snapshots = Snapshots(store, PREFIX, database._catalogue, SystemClock())
    made = snapshots.make("claim", replica, directory)
    assert made is not None
    assert made.seq == SNAPSHOT_AT


@dataclass(frozen=True, slots=True)
class Ran:
    """What one command came to."""

    code: int
    out: str
    err: str

    @property
    def findings(self) -> list[str]:
        """Its lines about entries, snapshots, segments, replicas and keys."""
        subjects = ("entry ", "entries ", "snapshot ", "segment ", "replica ", "key ", "the hash ")
        lines = [line for line in self.out.splitlines() if line.startswith(subjects)]
        return [line for line in lines if ": " in line]


@dataclass(frozen=True, slots=True)
class Scene:
    """A bucket with the journal, and the directory with its replica."""

    store: MemoryStore
    replicas: Path
    capture: Any

    @property
    def bucket(self) -> MemoryBucket:
        return self.store.bucket

    def run(self, *argv: str) -> Ran:
        """Run a command over this bucket in this process."""
        command, *options = argv
        clock = FakeClock()
        clock.hurry()
        code = main(
            [command, "commerce", "--bucket", "test-bucket", *options],
            lambda settings, clock: nullcontext(self.store),
            clock,
        )
        said = self.capture.readouterr()
        return Ran(code, said.out, said.err)

    def verify(self, *options: str) -> Ran:
        return self.run("verify", *options)

    # Entries

    def key(self, seq: int) -> str:
        return f"{PREFIX}journal/{seq:020d}.json"

    def entry(self, seq: int) -> bytes:
        return self.bucket.get(self.key(seq))

    def replace(self, seq: int, stored: bytes) -> None:
        self.bucket.tamper(self.key(seq), stored)

    def rewrite(self, first: int, change: Callable[[dict[str, Any]], object]) -> None:
        """Change entry `first` as one would who forges history: all after it follow again."""
        for seq in range(first, ENTRIES + 1):
            content = json.loads(self.entry(seq))
            if seq == first:
                change(content)
            else:
                content["prev"] = digest(self.entry(seq - 1))
            self.replace(seq, json.dumps(content, separators=(",", ":")).encode())

    # Snapshot and replica

    @property
    def snapshot(self) -> str:
        (found,) = [
            info.key
            for info in self.bucket.list(f"{PREFIX}snapshots/", "", 100)
            if info.key.endswith(".gz")
        ]
        return found

    @property
    def replica(self) -> Path:
        (found,) = (self.replicas / "commerce").glob("*/current/replica.db")
        return found

    @contextmanager
    def inside_snapshot(self, scratch: Path) -> Iterator[sqlite3.Connection]:
        """Open the snapshot's copy, and store what becomes of it under the same name."""
        scratch.write_bytes(gzip.decompress(self.bucket.get(self.snapshot)))
        with closing(sqlite3.connect(scratch)) as connection:
            yield connection
            connection.commit()
        self.bucket.tamper(self.snapshot, gzip.compress(scratch.read_bytes()))

    @contextmanager
    def inside_replica(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.replica)) as connection:
            yield connection
            connection.commit()


def forge(connection: sqlite3.Connection, key: str, before: str, after: str) -> None:
    """Change a row's body so that its checksum agrees."""
    collection, name, revision, version, body = connection.execute(
        "SELECT collection, key, revision, version, body FROM docs WHERE key = ?", (key,)
    ).fetchone()
    assert before in body
    body = body.replace(before, after)
    total = checksum(collection, name, revision, version, body)
    connection.execute("UPDATE docs SET body = ?, sum = ? WHERE key = ?", (body, total, key))


def copy_of(original: MemoryBucket, replicas: Path, directory: Path) -> tuple[MemoryStore, Path]:
    """The same bucket and directory again, for one test to damage."""
    bucket = MemoryBucket()
    for info in original.list("", "", 10_000):
        bucket.create(info.key, original.get(info.key))
    shutil.copytree(replicas, directory, symlinks=True)
    return MemoryStore(bucket), directory
