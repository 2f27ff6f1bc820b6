"""An entry that somebody removed while containers run: named, and never written into."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from shared import errors
from shared.clock import SystemClock
from shared.storage import follower
from shared.storage.access import Document, Transaction
from shared.storage.catalogue import Catalogue, Collection
from shared.storage.database import JournalDatabase
from shared.storage.memory import MemoryBucket, MemoryStore


def key(seq: int) -> str:
    return f"journal/{seq:020d}.json"


@contextmanager
def container(bucket: MemoryBucket, directory: Path) -> Iterator[JournalDatabase]:
    clock = SystemClock()
    opened = JournalDatabase(
        MemoryStore(bucket),
        Catalogue(Collection("notes")),
        prefix="",
        directory=directory,
        clock=clock,
    )
    with closing(opened):
        yield opened


def write_note(tx: Transaction) -> Document:
    return tx.put("notes", tx.new_id("note"), {})


def test_a_gap_once_seen_is_named_and_not_written_into_until_the_entry_is_back(
    tmp_path: Path,
) -> None:
    bucket = MemoryBucket()
    with container(bucket, tmp_path / "a") as ahead, container(bucket, tmp_path / "b") as behind:
        behind.transact(write_note)
        # Its tailer must not follow what is about to be removed.
        behind._opened().tailer.close()
        for _ in range(3):
            ahead.transact(write_note)
        removed = bucket.get(key(4))
        bucket.delete(key(4))

        for _ in range(2):
            with pytest.raises(errors.Refused):
                behind.read(lambda view: view.seq)
            with pytest.raises(errors.Refused):
                behind.transact(write_note)
            assert "entry 4 is missing" in behind.troubles()[0]
        assert key(4) not in [info.key for info in bucket.list("journal/", "", 100)]

        bucket.create(key(4), removed)
        assert behind.transact(write_note).seq == 6
        assert behind.troubles() == []


def test_a_gap_right_behind_ones_own_head_is_seen_by_the_next_listing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "LISTED_SECONDS", -1.0)
    bucket = MemoryBucket()
    with container(bucket, tmp_path / "a") as ahead, container(bucket, tmp_path / "b") as behind:
        head = behind.transact(write_note).seq
        # Its tailer must not follow what is about to be removed.
        behind._opened().tailer.close()
        for _ in range(2):
            ahead.transact(write_note)
        bucket.delete(key(head + 1))

        with pytest.raises(errors.Refused):
            behind.read(lambda view: view.seq)

        assert f"entry {head + 1} is missing" in behind.troubles()[0]
        with pytest.raises(errors.Refused):
            behind.transact(write_note)
        assert key(head + 1) not in [info.key for info in bucket.list("journal/", "", 100)]
