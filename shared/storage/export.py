"""Taking a database out of its bucket: documents as they are now, or the journal byte for byte."""

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO, cast

import orjson

from shared.clock import Clock
from shared.storage.archive import named_volumes, read_volume
from shared.storage.audit import Chain, Progress, Report
from shared.storage.journal import Journal
from shared.storage.objects import ObjectStore
from shared.storage.rebuilding import LOOK_SECONDS, catch_up, each_volume, rebuilt
from shared.storage.replica import Replica


class NotExported(Exception):  # noqa: N818 - a verdict
    """What was asked for cannot be exported as it is; the message says why."""


def documents(replica: Replica, collection: str | None) -> Iterator[bytes]:
    """Every document of the replica, or those of one collection, each as one line of JSON."""
    with replica.reading(LOOK_SECONDS) as reader:
        for name, key, revision, version, body in reader.dump():
            if collection in (None, name):
                yield _line(name, key, revision, version, body)


def present(
    store: ObjectStore,
    prefix: str,
    clock: Clock,
    workplace: Path,
    progress: Progress,
    report: Report,
    collection: str | None,
) -> Iterator[bytes]:
    """All documents of one state of the journal, or those of one collection: first what a replica
    has, then what has left for the archive. `workplace` holds the replica and the volumes.

    Raises StoreError, UnreadableEntry, JournalGap and VolumeDamaged.
    """
    kept = cast(ObjectStore, _Kept(store, workplace))
    replica = rebuilt(store, prefix, clock, workplace / "replica.db", progress, report)
    with closing(replica):
        journal = Journal(store, prefix, clock)
        # Before anything is given out: for a volume that has gone the state may have to move on.
        for _, found in each_volume(
            kept, prefix, replica, lambda: catch_up(replica, journal, progress)
        ):
            if isinstance(found, Exception):
                raise found
        yield from documents(replica, collection)
        yield from archived(kept, prefix, replica, collection)


class _Kept:
    """A store to read volumes from, each of which is kept on disk: it may be superseded."""

    def __init__(self, store: ObjectStore, folder: Path) -> None:
        self._store = store
        self._folder = folder

    def get(self, key: str) -> bytes:
        path = self._folder / key.replace("/", "-")
        if not path.exists():
            path.write_bytes(self._store.get(key))
        return path.read_bytes()


def archived(
    store: ObjectStore, prefix: str, replica: Replica, collection: str | None
) -> Iterator[bytes]:
    """The documents that have left for the archive, in the same way.

    Raises StoreError and VolumeDamaged.
    """
    with replica.reading(LOOK_SECONDS) as reader:
        for volume in named_volumes(reader):
            name = volume.collection
            if collection not in (None, name):
                continue
            for each in read_volume(store, prefix, volume):
                if reader.get(name, each.key) is None:
                    yield _line(name, each.key, each.revision, each.version, each.body)


def _line(name: str, key: str, revision: int, version: int, body: str | bytes) -> bytes:
    content = {
        "collection": name,
        "key": key,
        "revision": revision,
        "version": version,
        "document": orjson.Fragment(body),
    }
    return orjson.dumps(content) + b"\n"


def entries(chain: Chain) -> Iterator[bytes]:
    """Every entry's stored bytes as one line: the SHA-256 of line n, without its line break, is
    what line n+1 names as `prev`. Raises NotExported at the first thing that is wrong.
    """
    for link in chain.links():
        if not link.whole:
            raise NotExported("the journal is damaged; `verify` names all of it")
        if b"\n" in link.stored:
            raise NotExported(f"entry {link.seq} holds a line break, so it cannot be one line")
        yield link.stored + b"\n"


def destination(path: Path | None) -> AbstractContextManager[BinaryIO]:
    """Where an export goes: a file that appears whole or not at all; standard output for None."""
    return nullcontext(sys.stdout.buffer) if path is None else _whole_file(path)


@contextmanager
def _whole_file(path: Path) -> Iterator[BinaryIO]:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
