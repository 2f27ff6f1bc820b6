"""What a service declares about its documents: collections, indexes, search, schema versions.

A declaration, not code that runs: the replica's tables follow from it, and its fingerprint names
the replica's directory, so that a container with other indexes builds a replica of its own.

    CATALOGUE = Catalogue(
        Collection("orders", indexes=(Index("orders_by_citizen", ("citizen", "placed_ms")),)),
        Collection("products", text=("name_zh",), facts=("store",), numbers=("price",)),
    )

A path in `Index.fields` or `Collection.text` is a top-level member of the document, or members
joined by dots. A document that lacks one of an index's members does not stand in that index.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Body = dict[str, Any]
"""A document: JSON values; integers fit 53 bits, text is valid Unicode, nesting is bounded."""

Value = str | int
"""What an index orders by: integers before text, text by code point (SQLite's own order)."""

Upgrade = Callable[[Body], Body]

VOLUMES = "volumes"
"""The engine's own collection of what was archived."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
PATH = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")


@dataclass(frozen=True, slots=True)
class Index:
    """An ordered index: equal on its leading fields, ordered by the rest and the key."""

    name: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Archive:
    """When documents leave the replica for the archive, from where their ids still lead to them.

    `since` is the member with the time (milliseconds UTC) since which a document has been over; one
    that lacks it stays. `list` names the index that goes on into the archive: each of its fields
    has to be asked for, so that it is ordered by key. Other indexes show what has not left.
    """

    since: str
    list: str = ""


@dataclass(frozen=True, slots=True)
class Conserved:
    """The law of a collection: in each document the `parts` add up to the `whole`, none below zero.

    All are numbers at top-level members. With `each`, the law is that of every row in the list
    under that member: there the parts are members of the row, and the whole is the document's.
    """

    whole: str
    parts: tuple[str, ...]
    each: str = ""


@dataclass(frozen=True, slots=True)
class Collection:
    """One kind of document.

    `version` is the schema version that `put` writes; `upgrades[v]` makes a version-v body into
    version v+1 when an older document is read. It leaves alone what indexes, `archive` and
    `conserved` name: the replica reads that as it is stored, so a list would miss the document.

    `text` names the members in which search looks for words, `facts` those that it can ask to equal
    something, and `numbers` (from 0 to 2^44) those that it can bound and order by.

    With `archive`, documents leave once they are over. They are never deleted, nor searched.

    `conserved` is a law that all changes keep; an operator is told how many documents break it.
    """

    name: str
    indexes: tuple[Index, ...] = ()
    text: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    archive: Archive | None = None
    conserved: Conserved | None = None
    version: int = 1
    upgrades: Mapping[int, Upgrade] = field(default_factory=dict)

    @property
    def searchable(self) -> bool:
        """Whether search knows its documents."""
        return bool(self.text or self.facts or self.numbers)

    def upgrade(self, body: Body, version: int) -> Body:
        """Bring a body that was written at `version` up to this collection's version.

        Raises ValueError where that changes what is read as it is stored.
        """
        if version >= self.version:
            return body
        stored = {path: member(body, path) for path in self._read_as_stored()}
        while version < self.version:
            body = self.upgrades[version](body)
            version += 1
        for path, value in stored.items():
            if member(body, path) != value:
                raise ValueError(
                    f"an upgrade of {self.name} changes {path}, which is read as stored"
                )
        return body

    def _read_as_stored(self) -> list[str]:
        paths = [path for index in self.indexes for path in index.fields]
        if self.archive is not None:
            paths.append(self.archive.since)
        law = self.conserved
        if law is not None:
            paths += [law.whole, law.each] if law.each else [law.whole, *law.parts]
        return paths


class Catalogue:
    """All the collections of one service. Raises ValueError on a declaration that cannot work."""

    def __init__(self, *collections: Collection) -> None:
        self.collections = {collection.name: collection for collection in collections}
        self.indexes = {
            index.name: (collection, index)
            for collection in collections
            for index in collection.indexes
        }
        names = [c.name for c in collections] + [i.name for c in collections for i in c.indexes]
        paths = [p for c in collections for i in c.indexes for p in i.fields]
        paths += [p for c in collections for p in (*c.text, *c.facts, *c.numbers)]
        if len(set(names)) < len(names):
            raise ValueError("a collection or index is declared twice")
        for name in names:
            if not _NAME.fullmatch(name):
                raise ValueError(f"not a name for a collection or index: {name!r}")
        laws = [c.conserved for c in collections if c.conserved is not None]
        paths += [p for law in laws for p in (law.whole, *law.parts, law.each or law.whole)]
        for path in paths:
            if not PATH.fullmatch(path):
                raise ValueError(f"not a path into a document: {path!r}")
        for collection in collections:
            _check_archive(collection)
            if set(collection.upgrades) != set(range(1, collection.version)):
                raise ValueError(f"{collection.name}: one upgrade is needed for each older version")

    @property
    def searchable(self) -> bool:
        """Whether any collection is."""
        return any(collection.searchable for collection in self.collections.values())

    def fingerprint(self) -> str:
        """Twelve hex digits that change whenever the replica's tables would."""
        tables = sorted(
            (c.name, sorted((i.name, i.fields) for i in c.indexes), c.searchable)
            for c in self.collections.values()
        )
        return hashlib.sha256(repr(tables).encode()).hexdigest()[:12]


def _check_archive(collection: Collection) -> None:
    archive = collection.archive
    if archive is None:
        return
    if not PATH.fullmatch(archive.since):
        raise ValueError(f"not a path into a document: {archive.since!r}")
    if archive.list and archive.list not in {index.name for index in collection.indexes}:
        raise ValueError(f"{collection.name}: its archive goes on a list that is none of its own")
    if collection.searchable:
        raise ValueError(f"{collection.name}: what is archived cannot be searched")


def member(body: Body, path: str) -> Any:
    """The value at a dotted path, or None where any step is missing."""
    value: Any = body
    for step in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(step)
    return value
