"""A damaged replica or snapshot does not spread."""

import gzip
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from shared.clock import SystemClock
from shared.storage.catalogue import Catalogue
from shared.storage.entry import Entry, Write, encode
from shared.storage.journal import Journal
from shared.storage.memory import MemoryStore
from shared.storage.replica import Replica, build
from shared.storage.snapshot import Snapshots

CATALOGUE = Catalogue()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def replica(store: MemoryStore, tmp_path: Path) -> Iterator[Replica]:
    """A replica that holds one document, and its journal."""
    path = tmp_path / "replica.db"
    build(path, CATALOGUE, "database")
    with closing(Replica(path, CATALOGUE, SystemClock())) as opened:
        write = Write("notes", "note", 1 << 16 | 1, 1, b'{"text":"as it was"}')
        stored = encode(Entry(1, "commit", "writer", "", 1, (write,), database="database"))
        Journal(store, "", SystemClock()).append(1, stored, "commit")
        opened.apply(stored, 1)
        yield opened


def test_no_snapshot_is_made_of_a_damaged_row(
    store: MemoryStore, replica: Replica, tmp_path: Path
) -> None:
    snapshots = Snapshots(store, "", CATALOGUE, SystemClock())
    with closing(sqlite3.connect(replica.path)) as connection:
        connection.execute("UPDATE docs SET body = replace(body, 'was', 'is')")
        connection.commit()

    with pytest.raises(subprocess.CalledProcessError):
        snapshots.make("claim", replica, tmp_path)

    assert snapshots.newest_first() == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda packed: packed[: len(packed) // 2],
        lambda packed: gzip.compress(gzip.decompress(packed)[:5000]),
        lambda packed: gzip.compress(b"not SQLite"),
        lambda packed: gzip.compress(b""),
    ],
)
def test_a_damaged_snapshot_is_passed_over(
    store: MemoryStore, replica: Replica, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    snapshots = Snapshots(store, "", CATALOGUE, SystemClock())
    made = snapshots.make("claim", replica, tmp_path)
    assert made is not None
    restored = tmp_path / "restored.db"
    assert snapshots.restore(restored)
    restored.unlink()

    store.bucket.tamper(made.key, damage(store.get(made.key)))

    assert not snapshots.restore(restored)
    assert not restored.exists()
