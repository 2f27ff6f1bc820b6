"""Looking at a journal: what an operator wants to see of one first, as lines of text."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import orjson

from shared.clock import Clock
from shared.storage.audit import Chain, Progress, Report, located, replica_paths
from shared.storage.catalogue import Catalogue
from shared.storage.entry import decode, digest
from shared.storage.journal import Journal
from shared.storage.objects import Absent, ObjectStore
from shared.storage.reader import Head, ReplicaBroken
from shared.storage.rebuilding import LOOK_SECONDS, rebuilt
from shared.storage.replica import Replica
from shared.storage.segments import stored_segments
from shared.storage.snapshot import stored_snapshots

LAST_SHOWN = 5


def entry_text(store: ObjectStore, prefix: str, clock: Clock, seq: int) -> str:
    """One entry, laid out for reading. Raises Absent and UnreadableEntry."""
    stored = Journal(store, prefix, clock).read(seq)
    if stored is None:
        raise Absent(f"there is no entry {seq}")
    decode(stored, seq)
    layout = orjson.dumps(orjson.loads(stored), option=orjson.OPT_INDENT_2).decode()
    return f"{layout}\n{len(stored):,} bytes, hash {digest(stored)}"


class Inspection:
    """One look at the journal under `prefix`; works in the folder `workplace`.

    `replicas` is the directory whose replicas are looked at too. Damage that is met goes to
    `report`, but damage is not looked for: that is verifying.
    """

    def __init__(
        self,
        store: ObjectStore,
        prefix: str,
        clock: Clock,
        *,
        replicas: Path,
        workplace: Path,
        report: Report,
    ) -> None:
        self._store = store
        self._prefix = prefix
        self._clock = clock
        self._replicas = replicas
        self._workplace = workplace
        self._report = report
        self._journal = Journal(store, prefix, clock)
        self._database = located(store, prefix, clock)
        self._last = Chain(store, prefix, clock, report).last()

    def lines(self, progress: Progress) -> Iterator[str]:
        """Everything worth knowing at first sight."""
        yield f"database    {self._database}"
        yield from self._head()
        yield from self._last_entries()
        yield from self._collections(progress)
        yield from self._snapshots()
        yield from self._segments()
        yield from self._local()

    def _stored(self, seq: int) -> bytes:
        stored = self._journal.read(seq)
        if stored is None:
            raise Absent(f"there is no entry {seq}, yet later ones are listed")
        return stored

    def _head(self) -> Iterator[str]:
        stored = self._stored(self._last)
        yield f"head        entry {self._last:,} of {_time(decode(stored, self._last).time_ms)}"
        yield f"hash        {digest(stored)}"
        yield "            kept outside the bucket, it is what `verify --head` can hold against it"

    def _last_entries(self) -> Iterator[str]:
        yield "entries"
        for seq in range(max(1, self._last - LAST_SHOWN + 1), self._last + 1):
            stored = self._stored(seq)
            entry = decode(stored, seq)
            yield (
                f"  {seq:>10,}  {_time(entry.time_ms)}  {len(stored):>9,} bytes"
                f"  {len(entry.writes):>4} writes  {len(entry.events):>4} events"
                f"  by {entry.writer}"
            )

    def _collections(self, progress: Progress) -> Iterator[str]:
        replica = rebuilt(
            self._store,
            self._prefix,
            self._clock,
            self._workplace / "replica.db",
            progress,
            self._report,
        )
        with closing(replica), replica.reading(LOOK_SECONDS) as reader:
            yield f"bytes       {reader.head.bytes:,} in {reader.head.seq:,} entries"
            yield "collections"
            counts = Counter(collection for collection, *_ in reader.dump())
        for collection, count in counts.items():
            yield f"  {count:>10,}  {collection}"

    def _snapshots(self) -> Iterator[str]:
        yield "snapshots"
        for each in stored_snapshots(self._store, self._prefix):
            yield (
                f"  {each.seq:>10,}  {each.size_bytes:>9,} bytes  indexes {each.fingerprint}"
                f"  {self._belonging(each.seq, each.hash)}"
            )

    def _segments(self) -> Iterator[str]:
        counts: Counter[int] = Counter()
        last: dict[int, int] = {}
        for each in stored_segments(self._store, self._prefix, 1):
            counts[each.level] += 1
            last[each.level] = max(each.last, last.get(each.level, 0))
        yield "segments"
        for level in sorted(counts):
            yield f"  {counts[level]:>10,}  of level {level}, up to entry {last[level]:,}"

    def _local(self) -> Iterator[str]:
        yield f"replicas under {self._replicas}"
        for path in replica_paths(self._replicas, self._database):
            try:
                with closing(Replica(path, Catalogue(), self._clock)) as replica:
                    head = replica.head()
            except (ReplicaBroken, sqlite3.Error) as error:
                yield f"              cannot be read: {error}: {path.parent.parent.name}"
            else:
                yield f"  {head.seq:>10,}  {self._standing(head)}  {path.parent.parent.name}"

    def _standing(self, head: Head) -> str:
        belonging = self._belonging(head.seq, head.hash)
        behind = self._last - head.seq
        return f"{belonging}, {behind:,} entries behind" if behind > 0 else belonging

    def _belonging(self, seq: int, expected: str) -> str:
        stored = self._journal.read(seq)
        same = stored is not None and digest(stored) == expected
        return "belongs" if same else "does not belong to this journal"


def _time(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")
