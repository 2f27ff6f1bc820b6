"""Segments: many consecutive entries of a journal in one object, so that replaying them is quick.

    ‹prefix›segments/‹first›-‹last›-‹journal bytes›-‹hash›.‹level›.gz

`first` and `last` are the entries' numbers in 20 digits, `journal bytes` the size of all entries up
to `last`, `hash` the SHA-256 of entry `last`. Unpacked, a segment is the stored bytes of its
entries, one behind the other; an index, one JSON object with the length of each; and the index's
own length in eight bytes, big-endian.

Derived and never needed for correctness: every entry stays where it is, under its own key. A
segment counts only once it is *proven*: each entry in it names the hash of the one before it, and
the last one is, byte for byte, the journal's own. So a single read of the journal vouches for all
of them, as SHA-256 does. One that is missing, damaged or of another history is passed over.

Level 1 is cut from single entries; level 2 is merged from level 1, or cut where entries are large
(`compaction.py`).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import orjson
from isal import isal_zlib

from shared.storage.entry import digest
from shared.storage.objects import ObjectStore

FORMAT = 1

SPAN_ENTRIES_MAX = 50_000
"""Of any segment: a name that says more is none."""

UNPACKED_BYTES_MAX = 64 << 20
"""What a reader holds of one: whoever stored something larger under such a name is not followed."""

_LENGTH_BYTES = 8
_GZIP = 16 + isal_zlib.MAX_WBITS
_LEVEL = 1
"""Of ISA-L's: packs as well as zlib's third in a fifth of the time, beside those who serve."""

_NAME = re.compile(r"(\d{20})-(\d{20})-(\d+)-([0-9a-f]{64})\.([12])\.gz")

Read = Callable[[int], bytes | None]
"""An entry's stored bytes from its own key."""


class SegmentDamaged(Exception):  # noqa: N818 - names the thing found
    """A stored segment is not what its name promises, or not of this journal."""


class ChainBroken(Exception):  # noqa: N818
    """Entries that do not follow each other; the message names the first that does not."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One stored segment, as its name tells it; `size_bytes` as stored."""

    key: str
    first: int
    last: int
    journal_bytes: int
    hash: str
    level: int
    size_bytes: int


def folder_of(prefix: str) -> str:
    """Where the segments of the journal under `prefix` are."""
    return f"{prefix}segments/"


def name_of(first: int, last: int, journal_bytes: int, hash: str, level: int) -> str:  # noqa: A002
    return f"{first:020d}-{last:020d}-{journal_bytes}-{hash}.{level}.gz"


def stored_segments(store: ObjectStore, prefix: str, seq: int) -> Iterator[Segment]:
    """Stored segments that may hold entry `seq` or later ones, by their first entry.

    They are listed as they are asked for. Raises StoreError.
    """
    folder = folder_of(prefix)
    page = store.list(folder, after=f"{folder}{max(0, seq - SPAN_ENTRIES_MAX):020d}")
    while page:
        for info in page:
            name = _NAME.fullmatch(info.key[len(folder) :])
            if name and 0 <= int(name[2]) - int(name[1]) < SPAN_ENTRIES_MAX:
                yield Segment(
                    info.key,
                    int(name[1]),
                    int(name[2]),
                    int(name[3]),
                    name[4],
                    int(name[5]),
                    info.size_bytes,
                )
        page = store.list(folder, after=page[-1].key)


# Packing and cutting


def pack(first: int, entries: Sequence[bytes], before: str) -> bytes:
    """The object of a segment; `before` is the hash of the entry before `first`.

    The same entries give the same bytes. Raises ChainBroken.
    """
    check_chain(first, entries, before)
    index = orjson.dumps({"format": FORMAT, "first": first, "lengths": [*map(len, entries)]})
    tail = index + len(index).to_bytes(_LENGTH_BYTES, "big")
    packer = isal_zlib.compressobj(_LEVEL, wbits=_GZIP)
    # One by one: together they would stand in memory twice.
    return b"".join([*map(packer.compress, entries), packer.compress(tail), packer.flush()])


def check_chain(first: int, entries: Iterable[bytes], before: str | None) -> None:
    """Raise ChainBroken unless these are entries from `first` on, each behind the one before it.

    With None for `before`, the first may follow any.
    """
    for seq, stored in enumerate(entries, first):
        try:
            content = orjson.loads(stored)
            named, prev = content["seq"], content["prev"]
        except (ValueError, KeyError, TypeError) as error:
            raise ChainBroken(f"entry {seq} cannot be read: {error!r}") from None
        if named != seq:
            raise ChainBroken(f"entry {seq} says that it is entry {named!r}")
        if before is not None and prev != before:
            raise ChainBroken(f"entry {seq} does not follow the one before it")
        before = digest(stored)


class Cut:
    """The entries of one segment that was opened."""

    def __init__(self, first: int, lengths: Sequence[int], unpacked: bytes) -> None:
        self.first = first
        self.last = first + len(lengths) - 1
        self._ends = [0, *accumulate(lengths)]
        self._unpacked = unpacked

    def entry(self, seq: int) -> bytes:
        """The stored bytes of entry `seq`, which is one of these."""
        place = seq - self.first
        return self._unpacked[self._ends[place] : self._ends[place + 1]]

    def entries(self, first: int, last: int) -> Iterator[bytes]:
        """Entries `first` to `last`, which are of these."""
        return map(self.entry, range(first, last + 1))


def proven(store: ObjectStore, segment: Segment, read: Read) -> Cut:
    """A segment's entries, known to be the journal's own by its last.

    Raises SegmentDamaged and StoreError.
    """
    cut = _cut(segment, store.get(segment.key))
    try:
        check_chain(cut.first, cut.entries(cut.first, cut.last), None)
    except ChainBroken as error:
        raise SegmentDamaged(f"holds another chain than the journal: {error}") from error
    if read(segment.last) != cut.entry(segment.last):
        raise SegmentDamaged(f"does not end with entry {segment.last} as the journal holds it")
    return cut


def _cut(segment: Segment, packed: bytes) -> Cut:
    unpacked = _unpacked(packed)
    try:
        length = int.from_bytes(unpacked[-_LENGTH_BYTES:], "big")
        start = len(unpacked) - _LENGTH_BYTES - length
        index = orjson.loads(unpacked[start:-_LENGTH_BYTES]) if start >= 0 else {}
        first, lengths = index["first"], index["lengths"]
        sound = (
            index["format"] == FORMAT
            and (first, first + len(lengths) - 1) == (segment.first, segment.last)
            and all(type(each) is int and each > 0 for each in lengths)
            and sum(lengths) == start
        )
    except (ValueError, KeyError, TypeError) as error:
        raise SegmentDamaged(f"has no index: {error!r}") from None
    if not sound:
        raise SegmentDamaged("has an index that does not fit its name or its entries")
    return Cut(first, lengths, unpacked)


def _unpacked(packed: bytes) -> bytes:
    opener = isal_zlib.decompressobj(wbits=_GZIP)
    try:
        unpacked: bytes = opener.decompress(packed, UNPACKED_BYTES_MAX)
    except isal_zlib.error as error:
        raise SegmentDamaged(f"cannot be unpacked: {error}") from None
    if not opener.eof or opener.unused_data:
        raise SegmentDamaged("is cut short, too large, or followed by something else")
    return unpacked


# Walking


class Ahead:
    """Stored segments in order, of which those around the walker's entry are at hand.

    However many there are, a page of names and the few that overlap are held.
    """

    def __init__(self, segments: Iterator[Segment]) -> None:
        self._segments = segments
        self._next = next(segments, None)
        self._around: list[Segment] = []
        self._dropped: set[str] = set()

    def around(self, seq: int) -> list[Segment]:
        """Those that hold entry `seq`, which is not before any asked for earlier."""
        while self._next is not None and self._next.first <= seq:
            self._around.append(self._next)
            self._next = next(self._segments, None)
        self._around = [each for each in self._around if each.last >= seq]
        self._dropped.intersection_update(each.key for each in self._around)
        return [each for each in self._around if each.key not in self._dropped]

    def drop(self, segment: Segment) -> None:
        """Give it no more."""
        self._dropped.add(segment.key)

    def begins_behind(self) -> int | None:
        """The first entry of the next one behind the entry that was asked for last."""
        return None if self._next is None else self._next.first

    def rest(self) -> Iterator[Segment]:
        """Those that begin behind the entry that was asked for last."""
        while self._next is not None:
            yield self._next
            self._next = next(self._segments, None)
