"""Looks: what a replica says that stands where it is proven to, or further."""

from collections.abc import Callable
from typing import TypeVar

from shared.storage.access import Committed, Document
from shared.storage.archive import Fetched
from shared.storage.replica import Replica
from shared.storage.transaction import ReadOnlyView, document_of

T = TypeVar("T")

Look = Callable[[Replica, int], Committed[T] | None]
"""Of a replica and an entry: an answer, or None where the replica stands before that entry."""


def looking(query: Callable[[ReadOnlyView], T], fetched: Fetched | None = None) -> Look[T]:
    """By running a query in a read transaction."""

    def look(replica: Replica, seq: int) -> Committed[T] | None:
        with replica.reading() as reader:
            if reader.head.seq < seq:
                return None
            return Committed(query(ReadOnlyView(reader, fetched)), reader.head.seq)

    return look


def glancing_at(collection: str, key: str) -> Look[Document]:
    """At one document, by one statement; None also where it is not there."""

    def look(replica: Replica, seq: int) -> Committed[Document] | None:
        found = replica.one(collection, key, seq)
        if found is None:
            return None
        row, stands_at = found
        if stands_at < seq:
            return None
        return Committed(document_of(replica.catalogue, collection, row), stands_at)

    return look


def looking_at(collection: str, key: str, fetched: Fetched) -> Look[Document]:
    """At one document, as cheaply as it goes."""
    glance = glancing_at(collection, key)
    # Not yet, never, or in the archive: which of them depends on the state that says so.
    whole = looking(lambda view: view.require(collection, key), fetched)
    return lambda replica, seq: glance(replica, seq) or whole(replica, seq)
