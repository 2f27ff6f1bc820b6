"""Transactions: changes run on an overlay of a replica's state; nothing is written to SQLite.

A batch of changes sees one committed state and, on top, what the changes before it in the batch
wrote. Each change writes into a layer of its own; a change that raises leaves nothing behind,
because its layer is dropped. What the batch wrote in the end becomes one entry.

The state underneath is a read transaction. So no failure of SQLite (a full disk that ends a
transaction, a lost savepoint) can let a change's effects reach the replica past the journal.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from typing import Any, TypeVar

import orjson

from shared import errors, tracing
from shared.clock import Clock, new_id
from shared.storage import archive, query
from shared.storage.access import Change, Document, Hit, Position, Search
from shared.storage.archive import Fetched, Listing, Wanted
from shared.storage.catalogue import Body, Catalogue, Collection, Index, Value, member
from shared.storage.entry import Event, Write, encode_value
from shared.storage.finder import admits
from shared.storage.reader import Found, Reader, ReplicaBroken, upgraded
from shared.storage.replica import ROWS_MAX
from shared.storage.volume import Archived

T = TypeVar("T")

ORDINAL_BITS = 16
"""A revision is entry number and, below, the write's ordinal in the batch: never used twice, not
even when a document is deleted and made again or is written twice in one batch."""

DOCUMENT_BYTES_MAX = 256 << 10

KEY_CHARACTERS_MAX = 200

_CHANCE_BYTES = 640

CHANGE_CPU_SECONDS_MAX = 0.05
"""Of the processor's time, not of the wall's: a busy machine must not refuse honest changes."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The bounds of a `find`; `admit` applies them to an overlay's document as SQLite to a row."""

    equal: tuple[Value, ...]
    after: Position | None
    until: Value | None
    descending: bool

    def admit(self, values: tuple[Value, ...]) -> bool:
        lead = len(self.equal)
        rest = _sort_key(values[lead:])
        if _sort_key(values[:lead]) != _sort_key(self.equal):
            return False
        if self.until is not None and rest[0] > _sort_key((self.until,))[0]:
            return False
        if self.after is None:
            return True
        edge = _sort_key(self.after)
        return rest < edge if self.descending else rest > edge


class ReadOnlyView:
    """One committed state; `access.ReadView`.

    With `fetched` it goes on into the archive, and raises Wanted for what is still to be fetched;
    without, it shows what the replica has.
    """

    def __init__(self, reader: Reader, fetched: Fetched | None = None) -> None:
        self._reader = reader
        self._fetched = fetched

    @property
    def seq(self) -> int:
        return self._reader.head.seq

    def get(self, collection: str, key: str) -> Document | None:
        found = self._reader.get(collection, key)
        if found is None:
            return self._archived(collection, key)
        return self._document(collection, found)

    def _archived(self, collection: str, key: str) -> Document | None:
        declared = self._reader.catalogue.collections.get(collection)
        if self._fetched is None or declared is None or declared.archive is None:
            return None
        found = archive.look_up(self._in_replica, self._fetched, collection, key)
        return None if found is None else self._of_volume(collection, found)

    def _of_volume(self, collection: str, found: Archived) -> Document:
        row = Found(found.key, found.revision, found.version, found.body.decode())
        return self._document(collection, row)

    def _unless_here(self, collection: str, found: Archived) -> Document | None:
        """An archived row, unless it was brought back."""
        here = self._reader.get(collection, found.key)
        return self._of_volume(collection, found) if here is None else None

    @property
    def _in_replica(self) -> archive.Find:
        return ReadOnlyView(self._reader).find

    def stored(self, document: Document) -> Found:
        """The row of the replica that a document of this state was read from, before upgrade."""
        found = self._reader.get(document.collection, document.key)
        if found is None:
            raise ReplicaBroken(f"an index has {document.key}, which is not there")
        return found

    def require_all(self, collection: str, keys: Sequence[str]) -> list[Document]:
        found: list[Document] = []
        wants: list[archive.Want] = []
        for key in keys:
            try:
                found.append(self.require(collection, key))
            except Wanted as wanted:
                wants += wanted.wants
        if wants:
            raise Wanted(*wants)
        return found

    def require(self, collection: str, key: str) -> Document:
        return _present(self.get(collection, key))

    def find(
        self,
        index: str,
        equal: tuple[Value, ...],
        *,
        limit: int,
        after: Position | None = None,
        descending: bool = False,
        until: Value | None = None,
    ) -> list[Hit]:
        bounds = Bounds(equal, after, until, descending)
        limit = max(0, min(limit, ROWS_MAX))
        found = self.find_within(index, bounds, limit=limit)
        catalogue = self._reader.catalogue
        if self._fetched is None or not limit or until is not None:
            return found
        if not archive.goes_on(catalogue, index, equal):
            return found
        collection = catalogue.indexes[index][0].name
        if not self._fetched.walks:
            if archive.first_volume(self._in_replica, collection) is None:
                return found
            raise Wanted
        listing = Listing(collection, equal, after, descending, limit)
        return listing.continued(
            self._in_replica, self._fetched, found, partial(self._unless_here, collection)
        )

    def find_within(self, index: str, bounds: Bounds, *, limit: int) -> list[Hit]:
        """As `find`, without its cap on rows."""
        catalogue = self._reader.catalogue
        collection, _ = catalogue.indexes[index]
        statement = query.find_statement(
            catalogue,
            index,
            bounds.equal,
            after=bounds.after,
            descending=bounds.descending,
            until=bounds.until,
        )
        return self._hits(collection.name, statement, limit)

    def search(self, search: Search, *, limit: int, after: Position | None = None) -> list[Hit]:
        return tracing.traced("search", lambda: self._searched(search, limit, after))

    def _searched(self, search: Search, limit: int, after: Position | None) -> list[Hit]:
        limit = max(0, min(limit, ROWS_MAX))
        hits: list[Hit] = []
        goes_on = False
        while len(hits) < limit:
            # The index may be a second behind; what it finds is answered as it is now.
            wanted = limit - len(hits)
            page = self._reader.finder.find(self._reader, search, wanted, after, goes_on=goes_on)
            goes_on = True
            for found in page:
                document = self.get(search.collection, found.key)
                if document is not None and admits(search, document.body):
                    hits.append(Hit(document, found.position))
            if len(page) < wanted:
                break
            after = page[-1].position
        return hits

    def _hits(self, collection: str, statement: query.Statement, limit: int) -> list[Hit]:
        rows = self._reader.rows(collection, statement, limit)
        return [Hit(self._document(collection, found), position) for found, position in rows]

    def _document(self, collection: str, found: Found) -> Document:
        return document_of(self._reader.catalogue, collection, found)


def document_of(catalogue: Catalogue, collection: str, found: Found) -> Document:
    """A row as a caller has it, at the version that the catalogue declares."""
    return Document(collection, found.key, found.revision, upgraded(catalogue, collection, found))


def _present(document: Document | None) -> Document:
    if document is None:
        raise errors.Refused(errors.NOT_FOUND)
    return document


@dataclass(slots=True)
class Layer:
    """What one change, or one batch so far, wrote."""

    writes: dict[tuple[str, str], Write] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    bytes: int = 0


class Answer(ABC):
    """A change's value that can be asked for again: its document must be in the entry as it is."""

    __slots__ = ()

    @abstractmethod
    def name(self) -> tuple[str, str]:
        """Collection and key of the document."""


class Batch:
    """Changes that go into one entry, on top of one committed state."""

    def __init__(self, reader: Reader, clock: Clock, now_ms: int) -> None:
        self.reader = reader
        self.catalogue: Catalogue = reader.catalogue
        self.seq = reader.head.seq + 1
        # Entry times never go back, whatever this machine's clock says.
        self.now_ms = max(now_ms, reader.head.time_ms)
        self.asked_time = False
        """Whether a change looked at the time since this was last cleared."""
        self.layer = Layer()
        self._clock = clock
        self._ordinal = 0
        self._answered: set[tuple[str, str]] = set()
        self._chance = b""

    def run(self, change: Change[T], *, bytes_max: int) -> T:
        """Run one change; keep its writes if it returns, drop them if it raises.

        Raises what the change raises, `BatchFull` where its writes would take the batch past
        `bytes_max`, and `ChangeTooSlow`.
        """
        began = self._clock.monotonic()
        tx = BatchTransaction(self)
        value = change(tx)
        if self._clock.monotonic() - began > CHANGE_CPU_SECONDS_MAX:
            tx, value = self._run_measured(change)
        if self.layer.bytes + tx.layer.bytes > bytes_max:
            raise BatchFull(tx.layer.bytes)
        # The entry has each document once, as it is in the end. One that answers a claim is wanted
        # again as it was, so whoever writes it anew goes into the next entry.
        if not self._answered.isdisjoint(tx.layer.writes):
            raise BatchFull(tx.layer.bytes)
        if isinstance(value, Answer):
            self._answered.add(value.name())
        self.layer.writes.update(tx.layer.writes)
        self.layer.events += tx.layer.events
        self.layer.bytes += tx.layer.bytes
        return value

    def _run_measured(self, change: Change[T]) -> tuple["BatchTransaction", T]:
        """Run a change again that took long, to learn whether it was the change or the machine.

        Reading the processor's time costs as much as a small change, so only suspects pay for it.
        """
        began = self._clock.cpu()
        tx = BatchTransaction(self)
        value = change(tx)
        if self._clock.cpu() - began > CHANGE_CPU_SECONDS_MAX:
            raise ChangeTooSlow
        return tx, value

    def next_revision(self) -> int:
        self._ordinal += 1
        if self._ordinal >> ORDINAL_BITS:
            raise BatchFull(0)
        return self.seq << ORDINAL_BITS | self._ordinal

    def random(self, size: int) -> bytes:
        if len(self._chance) < size:
            self._chance = self._clock.random(max(size, _CHANCE_BYTES))
        drawn, self._chance = self._chance[:size], self._chance[size:]
        return drawn


class ChangeTooSlow(Exception):  # noqa: N818
    """A change computed for longer than `CHANGE_CPU_SECONDS_MAX`; it holds up all the others."""


class BatchFull(Exception):  # noqa: N818
    """A change does not fit into the batch; `bytes` is what its own writes take."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.bytes = size


class BatchTransaction:
    """`access.Transaction`: the batch's state with this change's own writes on top."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._view = ReadOnlyView(batch.reader)
        self.layer = Layer()

    def go_on(self, fetched: Fetched) -> None:
        """Let documents be found that are in the archive; lists show what the replica has."""
        self._view = ReadOnlyView(self._batch.reader, fetched)

    @property
    def seq(self) -> int:
        return self._view.seq

    @property
    def now_ms(self) -> int:
        self._batch.asked_time = True
        return self._batch.now_ms

    def new_id(self, prefix: str) -> str:
        return new_id(prefix, self._batch.now_ms, self._batch.random(10))

    # Reading

    def _written(self, name: tuple[str, str]) -> Write | None:
        return self.layer.writes.get(name) or self._batch.layer.writes.get(name)

    def get(self, collection: str, key: str) -> Document | None:
        write = self._written((collection, key))
        if write is None or self._retired(write):
            return self._view.get(collection, key)
        return None if write.body is None else self._document(write)

    def _retired(self, write: Write) -> bool:
        """Whether it leaves for the archive in this batch: until that is stored it is here."""
        return write.body is None and self._archives(write.collection)

    def _archives(self, collection: str) -> bool:
        return self._batch.catalogue.collections[collection].archive is not None

    def require(self, collection: str, key: str) -> Document:
        return _present(self.get(collection, key))

    def _document(self, write: Write) -> Document:
        body: Body = orjson.loads(write.body or b"null")
        declared = self._batch.catalogue.collections[write.collection]
        return Document(
            write.collection, write.key, write.revision, declared.upgrade(body, write.version)
        )

    def find(
        self,
        index: str,
        equal: tuple[Value, ...],
        *,
        limit: int,
        after: Position | None = None,
        descending: bool = False,
        until: Value | None = None,
    ) -> list[Hit]:
        collection, declared = self._batch.catalogue.indexes[index]
        limit = max(0, limit)
        written = self._written_in(collection)
        bounds = Bounds(equal, after, until, descending)
        # Any of the stored rows may have been overwritten in this batch.
        stored = self._view.find_within(index, bounds, limit=limit + len(written))
        merged = [
            (_sort_key(hit.position), hit) for hit in stored if hit.document.key not in written
        ]
        for write in written.values():
            hit = self._hit(declared, write, bounds)
            if hit is not None:
                merged.append((_sort_key(hit.position), hit))
        merged.sort(key=itemgetter(0), reverse=descending)
        return [hit for _, hit in merged[:limit]]

    def _written_in(self, collection: Collection) -> dict[str, Write]:
        layers = (self._batch.layer, self.layer)
        return {
            key: write
            for layer in layers
            for (name, key), write in layer.writes.items()
            if name == collection.name
        }

    def _hit(self, index: Index, write: Write, bounds: Bounds) -> Hit | None:
        """A document of the overlay as a row of the index, if it stands there within bounds."""
        if write.body is None:
            return None
        body = orjson.loads(write.body)
        values = tuple(_indexed(member(body, path)) for path in index.fields)
        if None in values or not bounds.admit((*values, write.key)):
            return None
        return Hit(self._document(write), (*values[len(bounds.equal) :], write.key))

    # Writing

    def put(self, collection: str, key: str, body: Body) -> Document:
        if not 0 < len(key) <= KEY_CHARACTERS_MAX:
            raise ValueError(f"a key has 1 to {KEY_CHARACTERS_MAX} characters: {key!r}")
        if not key.isascii():
            key.encode()  # a lone surrogate would spoil the whole entry
        if not isinstance(body, dict):
            raise ValueError(f"a document is an object, not {type(body).__name__}")
        encoded = encode_value(body)
        if len(encoded) > DOCUMENT_BYTES_MAX:
            raise ValueError(f"a document is larger than {DOCUMENT_BYTES_MAX} bytes")
        version = self._batch.catalogue.collections[collection].version
        write = Write(collection, key, self._batch.next_revision(), version, encoded)
        self._keep(write, len(encoded))
        return Document(collection, key, write.revision, body)

    def retire(self, collection: str, key: str, revision: int) -> bool:
        """Let a document leave that a volume holds, unless it was written since `revision`."""
        found = self._batch.reader.get(collection, key)
        if self._written((collection, key)) or found is None or found.revision != revision:
            return False
        self._keep(Write(collection, key, self._batch.next_revision(), 0, None), 0)
        return True

    def delete(self, collection: str, key: str) -> None:
        if self._archives(collection):
            raise ValueError(f"documents of {collection} are archived, never deleted")
        if self.get(collection, key) is not None:
            self._keep(Write(collection, key, self._batch.next_revision(), 0, None), 0)

    def _keep(self, write: Write, size: int) -> None:
        self.layer.writes[write.collection, write.key] = write
        self.layer.bytes += size + 100

    def emit(self, kind: str, data: Body) -> None:
        encoded = encode_value(data)
        self.layer.events.append(Event(self.new_id("event"), kind, encoded))
        self.layer.bytes += len(encoded) + 100


def _indexed(value: Any) -> Any:
    """A member as SQLite's JSON functions give it to an index: objects and lists as their text."""
    return orjson.dumps(value).decode() if isinstance(value, dict | list) else value


def _sort_key(values: Position) -> tuple[tuple[bool, Value | float], ...]:
    """SQLite's order in Python: numbers before text."""
    return tuple((isinstance(value, str), value) for value in values)
