"""`Reader`: one consistent state of a replica, as documents.

`Replica.reading` begins and ends the read transaction that a reader works in; what it reads is
fetched fully, under the transaction's deadline, and each row is verified by its checksum. `one`
reads one document without them: its statement is a transaction.
"""

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import orjson

from shared.clock import Clock
from shared.storage import query
from shared.storage.catalogue import Body, Catalogue, Conserved
from shared.storage.finder import Changed, Finder

_MISUSE = (
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_MISUSE,
    sqlite3.SQLITE_RANGE,
)
"""The statement or its values are wrong, not the file: the caller's mistake, for the caller."""

KNOWN_MAX = 1_000
"""Documents of one state that a reader remembers: a batch's, with room for an import's."""

Row = tuple[str, int, int, int, str]


class ReplicaBroken(Exception):  # noqa: N818
    """The file is lost, damaged, locked by a frozen process, or not of this journal."""


class ReadTooLong(Exception):  # noqa: N818
    """A read passed its deadline."""


class Head(NamedTuple):
    """The entry a replica stands at; `bytes` is the size of all entries up to it."""

    seq: int
    hash: str
    time_ms: int
    bytes: int


def checksum(collection: str, key: str, revision: int, version: int, body: str) -> int:
    """Ties a row's body to its name and revision."""
    return zlib.crc32(f"{collection}\0{key}\0{revision}\0{version}\0{body}".encode())


def head_of(connection: sqlite3.Connection) -> Head:
    """The entry at which a replica stands, in the state that the connection sees."""
    row = connection.execute("SELECT seq, hash, time_ms, bytes FROM head").fetchone()
    if row is None:
        raise ReplicaBroken("the replica has no head")
    return Head._make(row)


class Found(NamedTuple):
    """A row as read and verified, before upgrade."""

    key: str
    revision: int
    version: int
    body: str


class Reader:
    """One consistent state of a replica, inside `Replica.reading`."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        catalogue: Catalogue,
        finder: Finder,
        clock: Clock,
        deadline: float,
    ) -> None:
        self._connection = connection
        self.catalogue = catalogue
        self.finder = finder
        self._clock = clock
        self._deadline = deadline
        self._known: dict[tuple[str, str], Found | None] = {}
        # Reading the head first fixes the state for the whole block.
        self.head = head_of(connection)

    def get(self, collection: str, key: str) -> Found | None:
        """A document of this state. Who asks again, as a batch does for what sells well, costs
        nothing: a state does not change.
        """
        name = (collection, key)
        if name in self._known:
            self._check_deadline()
            return self._known[name]
        rows = self._fetched(query.GET, name)
        found = _verified(collection, rows[0]) if rows else None
        if len(self._known) < KNOWN_MAX:
            self._known[name] = found
        return found

    def expect(self, names: Sequence[tuple[str, str]]) -> None:
        """Fetch together, by collection, what will be asked for one by one."""
        for collection in {collection for collection, _ in names}:
            keys = [key for named, key in names if named == collection]
            rows = self._fetched(query.GET_ALL, (collection, orjson.dumps(keys).decode()))
            found = {row[0]: _verified(collection, row) for row in rows}
            self._known.update({(collection, key): found.get(key) for key in keys})

    def rows(
        self, collection: str, statement: query.Statement, limit: int
    ) -> list[tuple[Found, tuple[Any, ...]]]:
        """Run a statement of `query` to its end: verified documents with their positions."""
        sql, values = statement
        rows = self._fetched(f"{sql} LIMIT ?", [*values, limit])
        return [(_verified(collection, row[:5]), tuple(row[5:])) for row in rows]

    def _fetched(self, sql: str, values: Sequence[object]) -> list[Any]:
        self._check_deadline()
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
                raise ReadTooLong("a read passed its deadline") from None
            if _is_misuse(error) and self._connection.in_transaction:
                raise
            raise ReplicaBroken(f"SQLite: {error}") from error

    def _check_deadline(self) -> None:
        # SQLite's own handler sees only long statements; a loop of short ones ends here.
        if self._clock.monotonic() > self._deadline:
            raise ReadTooLong("a read passed its deadline")

    def changed(self, revision: int, limit: int) -> list[Changed]:
        """What search has to hear of that was written after `revision`: at most `limit` documents
        and deletions, first written first.
        """
        sql, values = query.changed_statement(self.catalogue, revision)
        written = [
            Changed(collection, row[0], row[1], self._current(collection, tuple(row)))
            for collection, *row in self._fetched(sql, [*values, limit])
        ]
        gone = [
            Changed(collection, key, deleted, None)
            for collection, key, deleted in self._fetched(query.GONE, [revision, limit])
        ]
        return sorted(written + gone, key=attrgetter("revision"))[:limit]

    def _current(self, collection: str, row: Any) -> Body:
        return upgraded(self.catalogue, collection, _verified(collection, row))

    def unbalanced(self, collection: str, law: Conserved) -> int:
        """How many documents of a collection, or rows within them, break its law."""
        values = [f"$.{law.each}", collection] if law.each else [collection]
        rows = self._fetched(query.unbalanced_statement(law), values)
        return int(rows[0][0])

    def dump(self) -> Iterator[tuple[str, str, int, int, str]]:
        """Every document in order: (collection, key, revision, version, body), verified."""
        rows = self._connection.execute(
            "SELECT collection, key, revision, version, sum, body FROM docs ORDER BY 1, 2"
        )
        for collection, *row in rows:
            found = _verified(collection, tuple(row))
            yield (collection, found.key, found.revision, found.version, found.body)


def _is_misuse(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        # Python's own. Of those that tell of operation, one says that a text is no UTF-8.
        return not isinstance(error, sqlite3.OperationalError)
    # A table or index that is not there is the file's fault, though its code says misuse.
    return code in _MISUSE and not str(error).startswith("no such")


def upgraded(catalogue: Catalogue, collection: str, found: Found) -> Body:
    """A row's body at the version that the catalogue declares."""
    body: Body = orjson.loads(found.body)
    declared = catalogue.collections.get(collection)
    return body if declared is None else declared.upgrade(body, found.version)


def one(connection: sqlite3.Connection, collection: str, key: str) -> tuple[Found, int] | None:
    """A document if it is there, and the entry of the state that it is of."""
    # By a cursor that nobody holds: one that a traceback kept would keep the state from passing.
    rows = connection.execute(query.ONE, (collection, key)).fetchall()
    if not rows:
        return None
    row = rows[0]
    seq = row[5]
    if seq is None:
        raise ReplicaBroken("the replica has no head")
    return _verified(collection, row[:5]), seq


def one_of(connection: sqlite3.Connection, collection: str, key: str) -> Found | None:
    """A document of the state that the connection's transaction is of, if it is there."""
    rows = connection.execute(query.GET, (collection, key)).fetchall()
    return _verified(collection, rows[0]) if rows else None


def _verified(collection: str, row: Row) -> Found:
    key, revision, version, total, body = row
    if checksum(collection, key, revision, version, body) != total:
        raise ReplicaBroken(f"the row {collection}/{key} does not match its checksum")
    return Found(key, revision, version, body)
