"""The journal's entry: what one commit wrote, as immutable bytes, and how entries chain.

An entry is one JSON object:

    format     1
    seq        its number; entry 1 also carries "database", the journal's random id
    commit     unique id of this attempt; by it a writer recognises its own entry
    writer     who wrote it: a process of a container
    prev       SHA-256 of the stored bytes of the entry before it ("" for entry 1)
    time_ms    milliseconds UTC, never before the previous entry's
    writes     [collection, key, revision, version, document or null] each
    events     [id, kind, data] each

Documents, not commands: applying an entry needs no domain code. `encode` and `decode` are exact
inverses on content; the hash is always taken over stored bytes, never over re-encoded ones.
"""

import hashlib
import math
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

FORMAT = 1

_NUMBERS = 1 << 53
"""What any reader of JSON keeps exactly lies below it."""

DEPTH_MAX = 32
"""Deepest nesting of a document, so that every reader of the journal can parse every entry."""

_STRICT = (
    orjson.OPT_STRICT_INTEGER
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)
"""What is no JSON of its own is refused, rather than stored as text that reads back otherwise."""

_NUL = re.compile(rb"(?<!\\)(\\\\)*\\u0000")
"""U+0000 as JSON escapes it; behind an even number of backslashes, else it is those characters."""


class UnreadableEntry(Exception):  # noqa: N818 - names the thing found
    """An entry's bytes are not a valid entry at its place; the message names it and says why."""


class Write(NamedTuple):
    """One document as an entry leaves it; `body` is its JSON, None where it was deleted."""

    collection: str
    key: str
    revision: int
    version: int
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, for consumers that follow the journal. `data` is JSON."""

    id: str
    kind: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """One commit."""

    seq: int
    commit: str
    writer: str
    prev: str
    time_ms: int
    writes: tuple[Write, ...] = ()
    events: tuple[Event, ...] = ()
    database: str | None = None


def digest(stored: bytes) -> str:
    """The hash that the next entry's `prev` carries: hex SHA-256 of the stored bytes."""
    return hashlib.sha256(stored).hexdigest()


def encode_value(value: object) -> bytes:
    """JSON of a document or event, refusing what could not be applied everywhere.

    Raises ValueError on integers beyond 53 bits (which any JSON reader keeps exactly), text that is
    not Unicode or holds U+0000 (at which SQLite ends a text), keys that are not text, values that
    JSON has no form for (dates and infinite numbers among them), and nesting deeper than
    `DEPTH_MAX`.
    """
    try:
        body = orjson.dumps(value, option=_STRICT)
    except orjson.JSONEncodeError as error:
        raise ValueError(f"not a storable document: {error}") from None
    if b"\\u0000" in body and _NUL.search(body):
        raise ValueError("a document holds U+0000")
    # orjson writes a number that is none as null; where there is no null there is no such number.
    if b"null" in body and _has_no_number(value):
        raise ValueError("a document holds a number that JSON has no form for")
    # Brackets bound the nesting from above at a fraction of a walk's cost; only a document that
    # could be too deep is walked.
    if body.count(b"{") + body.count(b"[") > DEPTH_MAX and _depth(value) > DEPTH_MAX:
        raise ValueError(f"a document is nested deeper than {DEPTH_MAX} levels")
    return body


def _has_no_number(value: object) -> bool:
    """Whether NaN or an infinity stands anywhere in a value."""
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, dict):
        return any(map(_has_no_number, value.values()))
    return isinstance(value, list | tuple) and any(map(_has_no_number, value))


def _depth(value: object) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        children: list[object] = []
        for item in level:
            if isinstance(item, dict):
                children.extend(item.values())
            elif isinstance(item, list | tuple):
                children.extend(item)
        level = children
    return depth - 1


def body_of(write: Write) -> dict[str, Any]:
    """The document of a write that did not delete one."""
    body: dict[str, Any] = orjson.loads(write.body or b"{}")
    return body


def encode(entry: Entry) -> bytes:
    """The bytes to store."""
    content: dict[str, Any] = {
        "format": FORMAT,
        "seq": entry.seq,
        "commit": entry.commit,
        "writer": entry.writer,
        "prev": entry.prev,
        "time_ms": entry.time_ms,
        "writes": [
            (w.collection, w.key, w.revision, w.version, _fragment(w.body)) for w in entry.writes
        ],
        "events": [(e.id, e.kind, orjson.Fragment(e.data)) for e in entry.events],
    }
    if entry.database is not None:
        content["database"] = entry.database
    return orjson.dumps(content, option=orjson.OPT_STRICT_INTEGER)


def _fragment(body: bytes | None) -> orjson.Fragment | None:
    return None if body is None else orjson.Fragment(body)


def decode(stored: bytes, seq: int) -> Entry:
    """The entry at place `seq`. Raises UnreadableEntry, which names it, if it is no such thing."""
    try:
        content = orjson.loads(stored)
        if content["format"] != FORMAT:
            raise UnreadableEntry(
                f"journal entry {seq} has format {content['format']!r} and this release reads "
                f"{FORMAT}: it was written by a newer release; upgrade this container"
            )
        entry = _entry(content)
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableEntry(f"journal entry {seq} is corrupt: {error!r}") from None
    if entry.seq != seq:
        raise UnreadableEntry(f"journal entry {seq} says that it is entry {entry.seq}")
    return entry


def _entry(content: dict[str, Any]) -> Entry:
    return Entry(
        seq=_typed(content["seq"], int),
        commit=_typed(content["commit"], str),
        writer=_typed(content["writer"], str),
        prev=_typed(content["prev"], str),
        time_ms=_typed(content["time_ms"], int),
        writes=tuple(map(_write, content["writes"])),
        events=tuple(Event(i, kind, encode_value(data)) for i, kind, data in content["events"]),
        database=content.get("database"),
    )


def _write(row: list[Any]) -> Write:
    """A write of an entry; each replica reads some thousands a second."""
    collection, key, revision, version, body = row
    if not type(collection) is type(key) is str:
        raise TypeError(f"{collection!r} and {key!r} are no names")
    if not type(revision) is type(version) is int:
        raise TypeError(f"{revision!r} and {version!r} are no numbers")
    if not (0 <= revision < _NUMBERS and 0 <= version < _NUMBERS):
        raise ValueError(f"{revision!r} and {version!r} are not numbers that an entry holds")
    if body is None:
        return Write(collection, key, revision, version, None)
    if type(body) is not dict:
        raise TypeError(f"{body!r} is no document")
    return Write(collection, key, revision, version, encode_value(body))


def _typed(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{value!r} is not {kind.__name__}")
    if isinstance(value, int) and not 0 <= value < _NUMBERS:
        raise ValueError(f"{value!r} is not a number that an entry holds")
    return value
