"""What the operator's commands stand on: a store that is only read, and the chain walked whole.

The engine stops at the first entry that does not follow. An auditor wants to know all that is
wrong, so `Chain` goes on behind damage and names each thing that it finds. It holds a few entries
and segments at a time, however many there are.

An entry that stands in a proven segment is taken from it, if the listing has it at the same size:
then the journal's own entry at the segment's end vouches for what it holds, and the listing for its
key being taken. What that does not show is an entry altered under its own key without a change of
size. Read `singly`, every entry is, and the segments are compared with them.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn, Protocol, TypeVar

from shared.clock import Clock
from shared.storage.entry import Entry, UnreadableEntry, decode, digest
from shared.storage.journal import PARALLEL_READS, Journal
from shared.storage.objects import Absent, ObjectInfo, ObjectStore, Uncertain
from shared.storage.segments import Ahead, Cut, Segment, SegmentDamaged, proven, stored_segments
from shared.storage.transaction import ORDINAL_BITS

T = TypeVar("T")

READ_ATTEMPTS_MAX = 5
"""A walk makes a million requests; one that gets no answer must not end it."""

PAUSE_SECONDS = 0.5

READ_AHEAD = 4 * PARALLEL_READS
"""Entries held at once: at most 128 MiB of them, as an entry is bounded to 4 MiB."""

Report = Callable[[str], None]
"""Takes one finding: a sentence that begins with the entry, snapshot or replica it is about."""


class Progress(Protocol):
    """Shows how far long work has come; the block is handed a function that counts steps."""

    def __call__(
        self, label: str, total: int | None
    ) -> AbstractContextManager[Callable[[int], object]]: ...


class ReadOnlyStore:
    """Another store's reads, asked again where no answer came. Implements `ObjectStore`."""

    def __init__(self, store: ObjectStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def get(self, key: str) -> bytes:
        return self._patiently(lambda: self._store.get(key))

    def get_range(self, key: str, start: int, length: int) -> bytes:
        return self._patiently(lambda: self._store.get_range(key, start, length))

    def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[ObjectInfo]:
        return self._patiently(lambda: self._store.list(prefix, after=after, limit=limit))

    def versioning(self) -> str:
        return self._patiently(self._store.versioning)

    def clock_skew_ms(self) -> int | None:
        return self._store.clock_skew_ms()

    def create(self, key: str, body: bytes) -> NoReturn:  # noqa: ARG002 - that is the point
        raise AssertionError("an audit writes nothing")

    def delete(self, key: str) -> NoReturn:  # noqa: ARG002
        raise AssertionError("an audit removes nothing")

    def _patiently(self, ask: Callable[[], T]) -> T:
        for _ in range(READ_ATTEMPTS_MAX - 1):
            try:
                return ask()
            except Uncertain:
                self._clock.sleep(PAUSE_SECONDS)
        return ask()


@dataclass(frozen=True, slots=True)
class Link:
    """One entry as it is stored.

    `entry` is None where the bytes are not an entry of that number. `whole` says that nothing was
    found wrong with it or with any entry before it.
    """

    seq: int
    stored: bytes
    hash: str
    entry: Entry | None
    whole: bool


class Chain:
    """All the entries of a journal in order, with what is wrong with them reported on the way."""

    def __init__(
        self,
        store: ObjectStore,
        prefix: str,
        clock: Clock,
        report: Report,
        *,
        singly: bool = False,
    ) -> None:
        self._store = store
        self._root = prefix
        self._folder = f"{prefix}journal/"
        self._journal = Journal(store, prefix, clock)
        self._name = re.compile(re.escape(self._folder) + r"(?!0{20})(\d{20})\.json")
        self._report = report
        self._singly = singly
        self._whole = True
        self._cuts: dict[str, Cut] = {}
        self.segments = 0
        """Segments that were proven."""
        self.by_segments = 0
        """Entries that were taken from them."""

    def links(self) -> Iterator[Link]:
        """Walk once, from the first entry to the last that the listing shows."""
        before: Link | None = None
        for seq, stored in self._read_ahead():
            if stored is None:
                self._found(f"entry {seq}: is listed, but not there")
            else:
                before = self._link(seq, stored, before)
                yield before

    def last(self) -> int:
        """The number of the last entry, by a few listings; 0 if there is none.

        It is the journal's head if there is no gap.
        """
        high = 1
        while self._beyond(high):
            high *= 2
        low = high // 2
        while low < high:
            middle = (low + high) // 2
            if self._beyond(middle):
                low = middle + 1
            else:
                high = middle
        return low

    def _beyond(self, seq: int) -> bool:
        page = self._store.list(self._folder, after=self._journal.key(seq), limit=10)
        return any(self._name.fullmatch(info.key) for info in page)

    def _read_ahead(self) -> Iterator[tuple[int, bytes | None]]:
        ahead = Ahead(stored_segments(self._store, self._root, 1))
        under_way: deque[_Asked] = deque()
        with ThreadPoolExecutor(PARALLEL_READS, thread_name_prefix="chain") as pool:
            for seq, size in self._listed():
                held = self._held(ahead, seq)
                own = None if self._singly else _of_size(size, held)
                if own is None:
                    answer = pool.submit(self._journal.read, seq).result
                    under_way.append(_Asked(seq, answer, held))
                else:
                    self.by_segments += 1
                    under_way.append(_Asked(seq, partial(_same, own), held))
                if len(under_way) == READ_AHEAD:
                    yield self._compared(under_way.popleft())
            for asked in under_way:
                yield self._compared(asked)
        for segment in ahead.rest():
            self._report(f"segment {segment.key}: is of entries that the journal does not hold")

    def _held(self, ahead: Ahead, seq: int) -> list[tuple[Segment, bytes]]:
        """An entry as each segment around it has it."""
        around = ahead.around(seq)
        for segment in [each for each in around if each.key not in self._cuts]:
            try:
                self._cuts[segment.key] = proven(self._store, segment, self._journal.read)
                self.segments += 1
            except SegmentDamaged as error:
                self._report(f"segment {segment.key}: {error}")
                ahead.drop(segment)
        self._cuts = {s.key: self._cuts[s.key] for s in around if s.key in self._cuts}
        return [(s, self._cuts[s.key].entry(seq)) for s in around if s.key in self._cuts]

    def _compared(self, asked: "_Asked") -> tuple[int, bytes | None]:
        stored = asked.answer()
        for segment, held in asked.held:
            if stored is not None and held != stored:
                self._report(f"segment {segment.key}: holds entry {asked.seq} otherwise than it is")
        return asked.seq, stored

    def _listed(self) -> Iterator[tuple[int, int]]:
        """The entries' numbers and sizes."""
        page = self._store.list(self._folder)
        while page:
            for info in page:
                name = self._name.fullmatch(info.key)
                if name:
                    yield int(name[1]), info.size_bytes
                else:
                    self._report(f"key {info.key}: is no entry, and nothing else belongs here")
            page = self._store.list(self._folder, after=page[-1].key)

    def _found(self, finding: str) -> None:
        self._whole = False
        self._report(finding)

    def _link(self, seq: int, stored: bytes, before: Link | None) -> Link:
        self._check_number(seq, 1 if before is None else before.seq + 1)
        entry = self._decoded(seq, stored)
        for problem in _problems(entry, before) if entry is not None else ():
            self._found(f"entry {seq}: {problem}")
        return Link(seq, stored, digest(stored), entry, self._whole)

    def _decoded(self, seq: int, stored: bytes) -> Entry | None:
        try:
            return decode(stored, seq)
        except UnreadableEntry as error:
            self._found(f"entry {seq}: {str(error).removeprefix(f'journal entry {seq} ')}")
            return None

    def _check_number(self, seq: int, expected: int) -> None:
        if seq == expected + 1:
            self._found(f"entry {expected}: is missing")
        elif seq > expected:
            self._found(f"entries {expected} to {seq - 1}: are missing")


@dataclass(frozen=True, slots=True)
class _Asked:
    """An entry on its way, and what segments hold in its place."""

    seq: int
    answer: Callable[[], bytes | None]
    held: list[tuple[Segment, bytes]]


def _of_size(size: int, held: list[tuple[Segment, bytes]]) -> bytes | None:
    return next((stored for _, stored in held if len(stored) == size), None)


def _same(stored: bytes) -> bytes:
    return stored


def _problems(entry: Entry, before: Link | None) -> Iterator[str]:
    """What is wrong with an entry beside the one before it in the listing."""
    if entry.seq == 1 and not entry.database:
        yield "names no database"
    if entry.seq > 1 and entry.database is not None:
        yield "names a database, which only entry 1 does"
    if entry.seq == 1 and entry.prev:
        yield "names an entry before it"
    if before is not None and before.seq == entry.seq - 1:
        yield from _joint(entry, before)
    revisions = [write.revision for write in entry.writes]
    if any(revision >> ORDINAL_BITS != entry.seq for revision in revisions):
        yield "holds a revision that is another entry's"
    names = {(write.collection, write.key) for write in entry.writes}
    if len(set(revisions)) < len(revisions) or len(names) < len(revisions):
        yield "writes one document or revision twice"


def _joint(entry: Entry, before: Link) -> Iterator[str]:
    if entry.prev != before.hash:
        yield (
            f"does not follow entry {before.seq} as it is stored: it names {entry.prev[:12]}…, "
            f"which is now {before.hash[:12]}…; one of the two was altered"
        )
    if before.entry is not None and entry.time_ms < before.entry.time_ms:
        yield f"has a time before entry {before.seq}'s"


def replica_paths(root: Path, database: str) -> list[Path]:
    """The published replicas of a journal under a directory that services were given."""
    return sorted(link / "replica.db" for link in root.glob(f"{database}-*/current"))


def located(store: ObjectStore, prefix: str, clock: Clock) -> str:
    """The id of the database whose journal is under `prefix`.

    Raises Absent where there is no journal, and UnreadableEntry.
    """
    stored = Journal(store, prefix, clock).read(1)
    if stored is None:
        raise Absent(f"there is no journal under {prefix}journal/")
    database = decode(stored, 1).database
    if not database:
        raise UnreadableEntry("journal entry 1 names no database")
    return database
