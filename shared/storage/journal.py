"""The journal: entries 1, 2, 3 … under one prefix of a bucket, each stored once, by create.

What this module guarantees to the engine:

- `append` answers only what it has *seen*: the entry is stored (`Stored`), or another one holds the
  place (`Lost`), or neither could be learned within the bounds (`Undecided`, which is an exception,
  because the entry may yet appear). The SDK never retries; after any answer but success, the place
  is read: one's own commit id there means stored.
- Entry n is created only by a writer that has seen entry n-1, so entries have no gap; a listing
  that shows one (`JournalGap`) means that something outside this engine removed an entry, and
  writing stops.
- Nothing here overwrites or deletes.

Many entries at once are read from segments where there are such (`segments.py`), which are proven
against the entries themselves, and one by one where there are none.
"""

import logging
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from shared.clock import Clock, new_id
from shared.storage import entry as entries
from shared.storage import segments
from shared.storage.objects import Absent, Denied, Misconfigured, ObjectStore, StoreError
from shared.storage.segments import Ahead, Cut, Segment, SegmentDamaged

log = logging.getLogger(__name__)

ATTEMPTS_MAX = 3
"""How often the same bytes are offered to the same key before the outcome is left undecided."""

PAUSE_SECONDS = 0.05
"""Between attempts: long enough for a store's hiccup, short beside a caller's patience."""

PARALLEL_READS = 8

SEGMENT_ENTRIES_MIN = 50
"""From so many entries on a segment is worth its two requests, and looking for one a listing."""


class Undecided(Exception):  # noqa: N818
    """Whether the entry is, or will be, stored could not be learned in the time allowed."""


class JournalGap(Exception):  # noqa: N818
    """An entry is missing though later ones exist; the message names it."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The entry is durable at its place."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Another writer's entry holds the place; these are its stored bytes."""

    winner: bytes


class Journal:
    """The entries under `‹prefix›journal/` of one store. Thread-safe."""

    def __init__(self, store: ObjectStore, prefix: str, clock: Clock) -> None:
        self._store = store
        self._root = prefix
        self._prefix = f"{prefix}journal/"
        self._clock = clock

    def key(self, seq: int) -> str:
        return f"{self._prefix}{seq:020d}.json"

    def read(self, seq: int) -> bytes | None:
        """The stored bytes of an entry; None only where the store said that there is none."""
        try:
            return self._store.get(self.key(seq))
        except Absent:
            return None

    def append(self, seq: int, stored: bytes, commit: str) -> Stored | Lost:
        """Offer `stored` as entry `seq`, whose commit id is `commit`.

        Raises Undecided, and Denied or Misconfigured where the store will not have this writer.
        """
        failure: StoreError | None = None
        for attempt in range(ATTEMPTS_MAX):
            if attempt:
                self._clock.sleep(PAUSE_SECONDS)
            try:
                self._store.create(self.key(seq), stored)
            except (Denied, Misconfigured):
                raise
            except StoreError as error:
                failure = error
            else:
                return Stored()
            decided = self._who_holds(seq, commit)
            if decided is not None:
                return decided
        raise Undecided(f"entry {seq} is not decided after {ATTEMPTS_MAX} attempts: {failure!r}")

    def _who_holds(self, seq: int, commit: str) -> Stored | Lost | None:
        try:
            found = self.read(seq)
        except (Denied, Misconfigured):
            raise
        except StoreError:
            return None
        if found is None:
            return None
        if entries.decode(found, seq).commit == commit:
            return Stored()
        return Lost(found)

    def head_from(self, seq: int) -> int:
        """The last entry, given that entry `seq` exists (0: none need exist).

        Raises JournalGap if the listing shows a key beyond a missing one.
        """
        while True:
            page = self._store.list(self._prefix, after=self.key(seq))
            for info in page:
                if info.key != self.key(seq + 1):
                    raise JournalGap(
                        f"journal entry {seq + 1} is missing, yet {info.key} exists; "
                        "restore the missing object from a backup of the bucket"
                    )
                seq += 1
            if not page:
                return seq

    def read_range(self, first: int, last: int) -> Generator[bytes, None, None]:
        """Entries `first` to `last` in order, which a listing showed: from segments, and several
        at a time where there are none. Who may stop before the last closes it: threads read ahead.

        Raises JournalGap if one of them is not there.
        """
        if last - first + 1 < SEGMENT_ENTRIES_MIN:
            yield from self.read_singly(first, last)
            return
        ahead = Ahead(self._segments(first))
        while first <= last:
            cut = self._cut(ahead, first, last)
            if cut is None:
                behind = ahead.begins_behind()
                stop = last if behind is None else min(last, behind - 1)
                yield from self.read_singly(first, stop)
            else:
                stop = min(last, cut.last)
                yield from cut.entries(first, stop)
            first = stop + 1

    def _segments(self, seq: int) -> Iterator[Segment]:
        try:
            yield from segments.stored_segments(self._store, self._root, seq)
        except StoreError as error:
            log.warning("segments cannot be listed: %s", error)

    def _cut(self, ahead: Ahead, first: int, last: int) -> Cut | None:
        """The segment that brings one furthest from `first` towards `last`, if it is worth it."""

        def gain(segment: Segment) -> int:
            return min(last, segment.last) - first + 1

        found = [s for s in ahead.around(first) if gain(s) >= SEGMENT_ENTRIES_MIN]
        for segment in sorted(found, key=lambda s: (-gain(s), s.size_bytes)):
            try:
                return segments.proven(self._store, segment, self.read)
            except (StoreError, SegmentDamaged) as error:
                log.warning("segment %s is passed over: %s", segment.key, error)
                ahead.drop(segment)
        return None

    def read_singly(self, first: int, last: int) -> Generator[bytes, None, None]:
        """As `read_range`, each entry under its own key, whatever segments hold."""
        if first == last:
            yield self.present(first)
            return
        with ThreadPoolExecutor(PARALLEL_READS, thread_name_prefix="journal") as pool:
            for start in range(first, last + 1, PARALLEL_READS * 4):
                stop = min(start + PARALLEL_READS * 4, last + 1)
                yield from pool.map(self.present, range(start, stop))

    def present(self, seq: int) -> bytes:
        """The stored bytes of an entry that is known to exist. Raises JournalGap."""
        found = self.read(seq)
        if found is None:
            raise JournalGap(f"journal entry {seq} is missing, yet a later one was seen")
        return found


def ensure_journal(journal: Journal, clock: Clock, writer: str) -> str:
    """The journal's database id; entry 1, which carries it, is stored if there is none yet.

    Raises JournalGap where later entries exist without it.
    """
    stored = journal.read(1)
    if stored is None:
        journal.head_from(0)
        now_ms = clock.now_ms()
        commit, random = new_id("commit", now_ms, clock.random(10)), clock.random(8).hex()
        first = entries.Entry(1, commit, writer, "", now_ms, database=random)
        stored = entries.encode(first)
        outcome = journal.append(1, stored, commit)
        if isinstance(outcome, Lost):
            stored = outcome.winner
    database_id = entries.decode(stored, 1).database
    if not database_id:
        raise entries.UnreadableEntry("journal entry 1 names no database")
    return database_id
