"""The audit trail: a journal's entries once more, in a bucket where nobody can change them.

    ‹prefix›segments/‹name as of any segment›      in the bucket of the class `audit`

A journal proves by its hashes that nothing was altered before a hash that one has elsewhere. Here
it is: pieces of the journal, in the form of segments, each stored once under Object Lock, by who
may not write to the journal. Whoever came to own the journal's bucket could rewrite it, but not
what was copied; and the next copying says so.

A piece belongs if the journal holds its last entry, by its hash: then all before it is the
journal's too. Copying goes on behind the newest that belongs, so where history was rewritten, or a
backup restored, the trail has both.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass

from shared.storage.entry import digest
from shared.storage.journal import Journal, JournalGap
from shared.storage.objects import Exists, ObjectStore
from shared.storage.segments import (
    Cut,
    Segment,
    SegmentDamaged,
    folder_of,
    name_of,
    pack,
    proven,
    stored_segments,
)

PIECE_ENTRIES_MAX = 1_000
PIECE_BYTES_MIN = 4 << 20
"""A piece ends with the entry with which it has so many entries, or that much."""

RUN_PIECES_MAX = 1_000
"""Of one copying: what is left over is the next one's."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copying came to: the entries up to `seq` are in the trail. `foreign` are pieces that
    this journal no longer agrees with.
    """

    seq: int
    pieces: int
    foreign: tuple[str, ...]


class Trail:
    """The trail of one journal: `source` has it and `target` is the audit's bucket, both of them
    under `prefix`.
    """

    def __init__(self, journal: Journal, target: ObjectStore, prefix: str) -> None:
        self._journal = journal
        self._target = target
        self._prefix = prefix

    def copy(self, stopped: Callable[[], bool] = lambda: False) -> Copied:
        """Copy what is new. Two that copy at once store the same, or overlapping pieces.

        Raises StoreError, JournalGap and ChainBroken: what is damaged is not copied.
        """
        standing, foreign = self._standing()
        head = self._journal.head_from(standing.last)
        pieces = 0
        for taken in self._portions(standing.last + 1, head):
            standing = self._store(standing, taken)
            pieces += 1
            if pieces == RUN_PIECES_MAX or stopped():
                break
        return Copied(standing.last, pieces, tuple(each.key for each in foreign))

    def check(self, compared: Callable[[int], object] = lambda _: None) -> Iterator[str]:
        """All that is wrong with it, each entry of each piece held against the journal's.

        `compared` hears of each.

        The last one's hash proves all before it of a journal that is whole. One in which an entry
        was exchanged is not, and whoever never opens anew does not come to see that.
        """
        for piece in stored_segments(self._target, self._prefix, 1):
            try:
                cut = proven(self._target, piece, self._journal.read)
                self._compare(cut, compared)
            except (SegmentDamaged, JournalGap) as error:
                yield f"{piece.key} {error}"

    def _compare(self, cut: Cut, compared: Callable[[int], object]) -> None:
        """Raise SegmentDamaged or JournalGap at the first entry that the journal has otherwise."""
        with closing(self._journal.read_singly(cut.first, cut.last)) as entries:
            for seq, stored in enumerate(entries, cut.first):
                if stored != cut.entry(seq):
                    raise SegmentDamaged(f"has entry {seq} otherwise than the journal has it now")
                compared(1)

    def _standing(self) -> tuple[Segment, list[Segment]]:
        """The newest piece that belongs, and those behind it that do not."""
        foreign: list[Segment] = []
        pieces = stored_segments(self._target, self._prefix, 1)
        for piece in sorted(pieces, key=lambda each: each.last, reverse=True):
            stored = self._journal.read(piece.last)
            if stored is not None and digest(stored) == piece.hash:
                return piece, foreign
            foreign.append(piece)
        return _NOTHING, foreign

    def _portions(self, first: int, last: int) -> Iterator[list[bytes]]:
        taken: list[bytes] = []
        size = 0
        for stored in self._journal.read_range(first, last) if first <= last else ():
            taken.append(stored)
            size += len(stored)
            if len(taken) == PIECE_ENTRIES_MAX or size >= PIECE_BYTES_MIN:
                yield taken
                taken, size = [], 0
        if taken:
            yield taken

    def _store(self, before: Segment, entries: list[bytes]) -> Segment:
        first, last = before.last + 1, before.last + len(entries)
        packed = pack(first, entries, before.hash)
        journal_bytes = before.journal_bytes + sum(map(len, entries))
        found = digest(entries[-1])
        key = folder_of(self._prefix) + name_of(first, last, journal_bytes, found, 1)
        with suppress(Exists):  # whoever copied it meanwhile, copied the same
            self._target.create(key, packed)
        return Segment(key, first, last, journal_bytes, found, 1, len(packed))


_NOTHING = Segment("", 0, 0, 0, "", 1, 0)
