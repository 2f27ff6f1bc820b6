"""Volumes: archived documents of one collection, bound in one object so that two reads find any.

    documents   their bodies' bytes, one behind the other
    rows        one JSON line for each: [key, revision, version, start, length, sum, list values …]

Documents and rows stand in the order of the collection's list (its values, then the key), so that
what one person has is one stretch; where the collection has no list, by key. A second copy of the
rows stands by key. Rows lie in *blocks* of `BLOCK_ROWS`; what a `Contents` says of each block is
where it begins, with which row, and its checksum; a row has its document's. The contents do not lie
in the object but in the replica, with the object's name and hash: so a document is one read for its
row and one for its bytes.

`Contents.admits` tells without any read that a list's values are in no row: a Bloom filter, wrong
about one time in a hundred, and never in denying.
"""

import base64
import hashlib
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from shared.storage.catalogue import Value

BLOCK_ROWS = 256

_FILTER_BITS_EACH = 10
_FILTER_PROBES = 7

Read = Callable[[int, int], bytes]
"""Bytes of the volume's object: from where, how many."""


class VolumeDamaged(Exception):  # noqa: N818 - names the thing found
    """An archived volume is not what the replica says of it."""


@dataclass(frozen=True, slots=True)
class Archived:
    """A document as a volume holds it; `values` are those of the collection's list."""

    key: str
    revision: int
    version: int
    body: bytes
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """Rows that stand together: `first` is the first one's place in the order."""

    first: tuple[Value, ...]
    start: int
    length: int
    sum: int

    def row(self) -> list[Value]:
        return [*self.first, self.start, self.length, self.sum]


@dataclass(frozen=True, slots=True)
class Contents:
    """What is known of a volume without reading it."""

    count: int
    by_key: tuple[Block, ...]
    by_list: tuple[Block, ...]
    filter: bytes

    def admits(self, values: tuple[Value, ...]) -> bool:
        """Whether a row may have these list values; False is certain."""
        bits = len(self.filter) * 8
        return all(self.filter[bit // 8] >> bit % 8 & 1 for bit in _bits(values, bits))


def to_body(contents: Contents) -> dict[str, Any]:
    """As a member of a document."""
    return {
        "count": contents.count,
        "by_key": [block.row() for block in contents.by_key],
        "by_list": [block.row() for block in contents.by_list],
        "filter": base64.b64encode(contents.filter).decode(),
    }


def from_body(body: dict[str, Any]) -> Contents:
    """The inverse of `to_body`."""
    return Contents(
        body["count"],
        _blocks(body["by_key"]),
        _blocks(body["by_list"]),
        base64.b64decode(body["filter"]),
    )


def _blocks(rows: list[list[Any]]) -> tuple[Block, ...]:
    return tuple(Block(tuple(first), start, length, total) for *first, start, length, total in rows)


# Binding


def bind(documents: Iterable[Archived]) -> tuple[bytes, Contents]:
    """One object of at least one document, and its contents."""
    ordered = sorted(documents, key=lambda each: _place((*each.values, each.key)))
    parts: list[bytes] = []
    end = 0
    rows: list[tuple[Archived, int]] = []
    for each in ordered:
        rows.append((each, end))
        parts.append(each.body)
        end += len(each.body)
    by_list, end = _bound(rows, parts, end, lambda each: (*each.values, each.key))
    rows.sort(key=lambda row: row[0].key)
    by_key, _ = _bound(rows, parts, end, lambda each: (each.key,))
    contents = Contents(len(rows), by_key, by_list, _filter([each.values for each in ordered]))
    return b"".join(parts), contents


def _bound(
    rows: list[tuple[Archived, int]],
    parts: list[bytes],
    end: int,
    place: Callable[[Archived], tuple[Value, ...]],
) -> tuple[tuple[Block, ...], int]:
    """Append rows to `parts`, block by block; where the blocks are, and the new end."""
    blocks: list[Block] = []
    for first in range(0, len(rows), BLOCK_ROWS):
        some = rows[first : first + BLOCK_ROWS]
        lines = b"".join(_line(each, start) for each, start in some)
        parts.append(lines)
        blocks.append(Block(place(some[0][0]), end, len(lines), zlib.crc32(lines)))
        end += len(lines)
    return tuple(blocks), end


def _line(each: Archived, start: int) -> bytes:
    about = [each.key, each.revision, each.version, start, len(each.body), zlib.crc32(each.body)]
    return orjson.dumps([*about, *each.values]) + b"\n"


def _place(values: Sequence[Value]) -> tuple[tuple[bool, Value], ...]:
    """SQLite's order: numbers before text."""
    return tuple((isinstance(value, str), value) for value in values)


def _filter(rows: list[tuple[Value, ...]]) -> bytes:
    values = set(rows)
    filled = bytearray(max(8, -(-len(values) * _FILTER_BITS_EACH // 8)))
    for each in values:
        for bit in _bits(each, len(filled) * 8):
            filled[bit // 8] |= 1 << bit % 8
    return bytes(filled)


def _bits(values: tuple[Value, ...], count: int) -> Iterator[int]:
    drawn = hashlib.blake2b(orjson.dumps(values), digest_size=16).digest()
    one, other = int.from_bytes(drawn[:8], "big"), int.from_bytes(drawn[8:], "big") | 1
    return ((one + probe * other) % count for probe in range(_FILTER_PROBES))


# Reading


def find(contents: Contents, read: Read, key: str) -> Archived | None:
    """The document of a key, by at most two reads. Raises VolumeDamaged."""
    place = bisect_right([block.first for block in contents.by_key], (key,)) - 1
    if place < 0:
        return None
    block = contents.by_key[place]
    for row in _rows([block], read):
        if row.key == key:
            return _with_bodies([row], read)[0]
    return None


def page(
    contents: Contents,
    read: Read,
    values: tuple[Value, ...],
    *,
    after: str | None,
    descending: bool,
    limit: int,
) -> list[Archived]:
    """Documents with these list values, by key, behind `after`; at most `limit`, by two reads.

    Raises VolumeDamaged.
    """
    firsts = [_place(block.first) for block in contents.by_list]
    low = max(0, bisect_right(firsts, _place((*values, ""))) - 1)
    high = bisect_right(firsts, _place((*values, _BEHIND_ALL)))
    blocks = contents.by_list[low:high]
    if not blocks:
        return []
    found = [row for row in _rows(blocks, read) if row.values == values]
    if after is not None:
        found = [row for row in found if (row.key < after if descending else row.key > after)]
    chosen = (found[::-1] if descending else found)[:limit]
    return _with_bodies(chosen, read)


_BEHIND_ALL = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class _Row:
    key: str
    revision: int
    version: int
    start: int
    length: int
    sum: int
    values: tuple[Value, ...]


def _rows(blocks: Sequence[Block], read: Read) -> list[_Row]:
    """The rows of neighbouring blocks, by one read."""
    start, end = blocks[0].start, blocks[-1].start + blocks[-1].length
    stored = read(start, end - start)
    for block in blocks:
        if zlib.crc32(_part(stored, block.start - start, block.length)) != block.sum:
            raise VolumeDamaged(f"holds other rows at {block.start} than its contents say")
    return [_row(*orjson.loads(line)) for line in stored.splitlines()]


def _part(stored: bytes, start: int, length: int) -> bytes:
    return stored[start : start + length]


def _row(
    key: str, revision: int, version: int, start: int, length: int, total: int, *values: Value
) -> _Row:
    return _Row(key, revision, version, start, length, total, values)


def _with_bodies(rows: list[_Row], read: Read) -> list[Archived]:
    """Documents of rows that stand next to each other, by one read."""
    if not rows:
        return []
    start = min(row.start for row in rows)
    end = max(row.start + row.length for row in rows)
    stored = read(start, end - start)
    found = []
    for row in rows:
        body = _part(stored, row.start - start, row.length)
        if zlib.crc32(body) != row.sum:
            raise VolumeDamaged(f"holds {row.key} otherwise than its row says")
        found.append(Archived(row.key, row.revision, row.version, body, row.values))
    return found


def all_of(contents: Contents, stored: bytes) -> list[Archived]:
    """Every document of a volume whose object was read whole, by key. Raises VolumeDamaged."""
    read = partial(_part, stored)
    return _with_bodies(_rows(contents.by_key, read), read)
