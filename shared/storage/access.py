"""What a caller of the engine holds: documents, views and transactions, as plain types.

Actions and domain code type against this module. It knows nothing of SQLite or of object stores.

    def change(tx: Transaction) -> Document:
        stock = tx.require("stock", product_id)
        ...
        return tx.put("orders", tx.new_id("order"), order)

    committed = database.transact(change)      # runs again if another writer wins the entry
    committed.value, committed.seq

A change does no I/O and keeps no state outside `tx`: it may run any number of times, and only the
last run counts. Time, ids and randomness come from `tx`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, Protocol, TypeVar

from shared.errors import STALE, Refused
from shared.storage.catalogue import Body, Value

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Position = tuple[Value | float, ...]
"""Where in an ordered list a document stands; handed back as `after`, it continues behind it."""


@dataclass(slots=True)
class Document:
    """A document as stored. `body` is the holder's own copy.

    `revision` changes with every write of the document, never repeats, and orders the writes of
    one key; it is what an ETag is made of.
    """

    collection: str
    key: str
    revision: int
    body: Body


def unchanged(document: Document, revision: int) -> None:
    """Raise `Refused(STALE)` unless a document is as the caller read it."""
    if document.revision != revision:
        raise Refused(STALE)


@dataclass(frozen=True, slots=True)
class Hit:
    """One row of an ordered list: the document and its position."""

    document: Document
    position: Position


@dataclass(frozen=True, slots=True)
class Search:
    """A search over one collection.

    `text` is what a person typed, in Chinese or English, or empty. `equal` and `between` filter on
    top-level members (bounds are inclusive, None is open). `order` is "relevance" (best first;
    only with `text`) or the name of a member; `descending` turns a member's order round.
    """

    collection: str
    text: str = ""
    equal: Mapping[str, Value] = field(default_factory=dict)
    between: Mapping[str, tuple[int | None, int | None]] = field(default_factory=dict)
    order: str = "relevance"
    descending: bool = False


class View(Protocol):
    """One consistent state of the database. Every method is in-process and takes microseconds.

    What has left for the archive is found as if it had not: the query or change is run again once
    it was fetched. In a transaction that holds for `get` and `require`.
    """

    @property
    def seq(self) -> int:
        """The journal entry this state stands at."""

    def get(self, collection: str, key: str) -> Document | None:
        """The document, upgraded to the collection's version, or None."""

    def require(self, collection: str, key: str) -> Document:
        """As `get`, but a missing document is refused with `errors.NOT_FOUND`."""

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
        """Documents whose leading index fields equal `equal`, ordered by the rest and the key.

        `until` (ascending only) is an inclusive upper bound on the first field behind `equal`. At
        most `limit` documents.
        """


class ReadView(View, Protocol):
    """A state that is only read; search is not available inside a transaction."""

    def require_all(self, collection: str, keys: Sequence[str]) -> list[Document]:
        """As `require` of each; what of them is archived is fetched together."""

    def search(self, search: Search, *, limit: int, after: Position | None = None) -> list[Hit]:
        """Documents that match, in the order asked for."""


class Transaction(View, Protocol):
    """A state with this transaction's own writes on top."""

    @property
    def now_ms(self) -> int:
        """The entry's time: milliseconds UTC, never before an earlier entry's."""

    def new_id(self, prefix: str) -> str:
        """A fresh sortable id."""

    def put(self, collection: str, key: str, body: Body) -> Document:
        """Write a document; it becomes durable, with all the others, or not at all."""

    def delete(self, collection: str, key: str) -> None:
        """Remove a document; one that is not there is passed over.

        Raises ValueError in a collection that is archived.
        """

    def emit(self, kind: str, data: Body) -> None:
        """Record an event in the entry, for consumers that follow the journal."""


class Change(Protocol[T_co]):
    """A function on documents. It may run again."""

    def __call__(self, tx: Transaction, /) -> T_co: ...


class Query(Protocol[T_co]):
    """A function that only reads."""

    def __call__(self, view: ReadView, /) -> T_co: ...


@dataclass(frozen=True, slots=True)
class Chore:
    """Something that is tidied while a container serves, whether or not anybody asks for it.

    `due` says of a state and a time (milliseconds UTC) whether there is something to do; then
    `change` is committed, and they are asked again.
    """

    due: Callable[[ReadView, int], bool]
    change: Change[object]


class Committed(NamedTuple, Generic[T]):
    """A durable outcome: the change's value and the entry that holds it.

    `replayed` is true where an earlier request with the same claim had already been answered.
    """

    value: T
    seq: int
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """One client intent, for idempotency: who asked, by which route, under which key, for what.

    `digest` is a keyed digest of the request body (never the body itself).
    """

    caller: str
    route: str
    key: str
    digest: str


class Freshness(NamedTuple):
    """How old the proof may be on which a read rests; see `FRESH` and `recent`.

    While the store is away no newer proof can be had. Then one of at most `outage_seconds` will do;
    `aged` is told of how many seconds ago the answer was last known to be the newest.
    """

    bound_seconds: float = 0.0
    at_least_seq: int = 0
    outage_seconds: float = 0.0
    aged: Callable[[float], None] | None = None

    def tell(self, seconds: float) -> None:
        """The answer was the newest so many seconds before it was asked for."""
        if self.aged is not None:
            self.aged(max(0.0, seconds))


FRESH = Freshness()
"""The read sees every write that was acknowledged anywhere before it began."""


def recent(bound_seconds: float, *, outage_seconds: float = 0.0) -> Freshness:
    """The read may rest on a proof that is at most `bound_seconds` old, and `outage_seconds` while
    the store is away.
    """
    return Freshness(bound_seconds=bound_seconds, outage_seconds=outage_seconds)


class Database(Protocol):
    """One service's documents. Thread-safe; one object a process, opened after fork."""

    def transact(self, change: Change[T]) -> Committed[T]:
        """Run `change`, store its entry, answer. Raises what the change raised (`Refused`, …) only
        after the state it saw was proven current; raises `Refused(BUSY)` where nothing is known to
        have been stored and the caller should come back.
        """

    def transact_once(self, claim: Claim, change: Change[Document]) -> Committed[Document]:
        """As `transact`, at most once for each (caller, route, key).

        A repetition gets the document that the first one returned, as it then was. Another digest
        under the same key is refused with `errors.KEY_REUSED`. Refusals are not remembered. Keys
        are kept for 72 hours.
        """

    def read(self, query: Query[T], freshness: Freshness = FRESH) -> Committed[T]:
        """Run `query` on one consistent state; `seq` says which."""

    def read_one(
        self, collection: str, key: str, freshness: Freshness = FRESH
    ) -> Committed[Document]:
        """One document, as `read` gives it by `require`; for less, where it is in the replica.
        Raises `Refused(NOT_FOUND)`.
        """
