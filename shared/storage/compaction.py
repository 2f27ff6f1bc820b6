"""Compaction: makes segments of a journal, so that replaying and verifying it stay practical.

It only adds. No entry is deleted, moved or overwritten, so no journal key ever becomes creatable
again; the segments of level 1 stay as well when they are merged into one of level 2.

- Level 1 is cut from single entries, behind the newest segment, once so many entries lie there.
  Each is read anew, one at a time and with pauses: it is a thread beside those that serve.
- Level 2 is merged from so many of level 1. Together they keep 10^7 entries in some ten thousand
  small objects and a few hundred large ones, and behind the last segment a thousand entries.
- Where entries are large, as under load, so many bytes lie there first. They are cut as level 2 at
  once: packing them twice would take the processor from those who load it.

Where a segment begins follows from the ones before it and where it ends from the entries, so two
makers that work at once make the same objects. One maker is elected (`claims.py`), to save work.
A segment whose last entry the journal does not hold (a bucket that was restored) is built past.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from shared.clock import Clock
from shared.storage import segments
from shared.storage.claims import Claims
from shared.storage.entry import digest
from shared.storage.journal import Journal
from shared.storage.objects import Exists, ObjectStore
from shared.storage.reader import Head
from shared.storage.segments import ChainBroken, Segment, pack, stored_segments

CUT_ENTRIES_MAX = 1_000
"""Level 1 ends with the entry with which it has so many."""

MERGED_MAX = 50
"""Level 2 ends with the segment of level 1 with which it has so many."""

BYTES_MIN = 16 << 20
"""Either ends earlier with what makes it that large."""

RUN_SEGMENTS_MAX = 20
"""Made under one claim: then others have a chance, and a backlog is worked off in pieces."""

PAUSE_SECONDS = 0.001
"""After each entry that is read: about half of the time is left to those who serve."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The segments that there are: the last of level 2, and those of level 1 behind it."""

    merged: Segment
    cut: tuple[Segment, ...]

    @property
    def last(self) -> Segment:
        return self.cut[-1] if self.cut else self.merged

    def mergeable(self) -> list[Segment]:
        """What the next one of level 2 is made of; empty while there is not enough."""
        chosen: list[Segment] = []
        for segment in self.cut:
            chosen.append(segment)
            size = segment.journal_bytes - self.merged.journal_bytes
            if len(chosen) == MERGED_MAX or size >= BYTES_MIN:
                return chosen
        return []


NOTHING = Segment("", 0, 0, 0, "", 2, 0)
"""Stands before the first."""


class Compaction:
    """One process's making of segments of the journal under `prefix`."""

    def __init__(self, store: ObjectStore, prefix: str, clock: Clock) -> None:
        self._store = store
        self._prefix = prefix
        self._folder = segments.folder_of(prefix)
        self._journal = Journal(store, prefix, clock)
        self._clock = clock
        self._claims = Claims(store, self._folder)
        self._known = Standing(NOTHING, ())
        self._own: frozenset[str] = frozenset()

    def due(self, head: Head) -> str | None:
        """The claim under which segments may be made now; None while too little is new.

        Raises StoreError. Asks the store for nothing while what is known is recent enough.
        """
        if not self._times(head):
            return None
        self._look()
        return self._claims.name(self._known.last.last, self._times(head))

    def _times(self, head: Head) -> int:
        last = self._known.last
        if head.seq < last.last:
            return 0
        lengths = (head.seq - last.last) // CUT_ENTRIES_MAX
        return max(lengths, (head.bytes - last.journal_bytes) // BYTES_MIN)

    def make(self, claim: str, head: Head, stopped: Callable[[], bool]) -> list[Segment]:
        """Make what is due of the entries up to `head`; none if another has the claim.

        Raises StoreError, JournalGap, and ChainBroken: what is damaged is not copied.
        """
        if not self._claims.take(claim):
            return []
        try:
            made = self._make_some(head, stopped)
        except ChainBroken:
            # What is known may be of a history that was restored away: it is learned anew.
            self._known, self._own = Standing(NOTHING, ()), frozenset()
            raise
        if made:
            self._claims.clear(made[0].first - 1)
        return made

    def _make_some(self, head: Head, stopped: Callable[[], bool]) -> list[Segment]:
        made: list[Segment] = []
        self._look()
        while len(made) < RUN_SEGMENTS_MAX and not stopped():
            segment = self._merge() or self._cut(head, stopped)
            if segment is None:
                break
            made.append(segment)
            self._look()
        return made

    # What there is

    def _look(self) -> None:
        """Learn which segments there are, of those that belong to this journal."""
        merged = self._known.merged
        found = list(stored_segments(self._store, self._prefix, merged.last + 1))
        self._own &= {segment.key for segment in found}
        newest_first = sorted(found, key=lambda segment: -segment.last)
        large = [s for s in newest_first if s.level > 1 and s.last > merged.last]
        merged = next(filter(self._belongs, large), merged)
        cut: list[Segment] = []
        while following := self._following(found, cut[-1] if cut else merged):
            cut.append(following)
        self._known = Standing(merged, tuple(cut))

    def _following(self, found: list[Segment], before: Segment) -> Segment | None:
        behind = (s for s in found if s.level == 1 and s.first == before.last + 1)
        return next(filter(self._belongs, behind), None)

    def _belongs(self, segment: Segment) -> bool:
        """Whether the journal holds the segment's last entry, by its hash."""
        if segment.key not in self._own:
            stored = self._journal.read(segment.last)
            if stored is None or digest(stored) != segment.hash:
                return False
            self._own |= {segment.key}
        return True

    # Making

    def _merge(self) -> Segment | None:
        chosen = self._known.mergeable()
        if not chosen:
            return None
        first, last = chosen[0].first, chosen[-1].last
        return self._store_new(self._known.merged, self._journal.read_range(first, last), 2)

    def _cut(self, head: Head, stopped: Callable[[], bool]) -> Segment | None:
        before = self._known.last
        taken: list[bytes] = []
        size = 0
        for seq in range(before.last + 1, head.seq + 1):
            taken.append(self._journal.present(seq))
            size += len(taken[-1])
            if len(taken) == CUT_ENTRIES_MAX or size >= BYTES_MIN:
                is_whole = size >= BYTES_MIN and not self._known.cut
                return self._store_new(before, taken, 2 if is_whole else 1)
            if stopped():
                break
            self._clock.sleep(PAUSE_SECONDS)
        return None

    def _store_new(self, before: Segment, stored: Iterable[bytes], level: int) -> Segment:
        entries = list(stored)
        first, last = before.last + 1, before.last + len(entries)
        journal_bytes = before.journal_bytes + sum(map(len, entries))
        packed = pack(first, entries, before.hash)
        found = digest(entries[-1])
        key = self._folder + segments.name_of(first, last, journal_bytes, found, level)
        # Whoever made it meanwhile, made the same.
        with suppress(Exists):
            self._store.create(key, packed)
        return Segment(key, first, last, journal_bytes, found, level, len(packed))
