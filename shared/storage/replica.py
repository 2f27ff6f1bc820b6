"""`Replica`: one SQLite file, derived from the journal, that a container's processes share.

It stands at exactly one entry, which it names with its hash in the row `head`; documents, indexes
and head change in one SQLite transaction. It can be thrown away at any moment: `directory.py`
says where it lives and when it is condemned.

- `apply` is the only writer. It takes an entry from its stored bytes, checks that it follows
  (`prev`), and is the same for the committer and for followers. It is total: no entry that
  `entry.decode` accepts can fail on its content.
- A read is a short explicit transaction, fully fetched, under a row cap and a deadline.
- Each row carries a checksum of what it says; reading verifies it.
- `ReplicaBroken` says that this file can no longer be trusted or used. It is never repaired.

Nothing but SQLite opens the file: closing any descriptor of it in this process would drop
SQLite's POSIX locks. Connections are one a thread, opened after fork.
"""

import os
import sqlite3
import threading
import weakref
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import orjson

from shared.clock import Clock
from shared.storage import query
from shared.storage.catalogue import Body, Catalogue
from shared.storage.entry import Entry, UnreadableEntry, Write, decode, digest
from shared.storage.finder import Changed, Finder

FORMAT = "2"
"""Of the replica's own tables; part of its directory's name, so a change builds a new one."""

BUSY_SECONDS = 2.0
"""How long one process waits for another's write transaction, which takes a millisecond or two.

A holder that takes longer is frozen; the file is then condemned and another one built.
"""

READ_SECONDS = 2.0
"""A read that takes longer is cut off: an open read pins the write-ahead log."""

ROWS_MAX = 1000
"""Most rows that one `find` or `search` gives."""

WAL_BYTES_MAX = 64 << 20
"""Above this the log is folded into the file even if readers have to be waited for."""

_PAGE_BYTES = 4096
"""SQLite's default since 3.12; `build` asks for it by name."""

_PROGRESS_STEPS = 20_000

_MISUSE = (
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_MISUSE,
    sqlite3.SQLITE_RANGE,
)
"""The statement or its values are wrong, not the file: the caller's mistake, for the caller."""

Row = tuple[str, int, int, int, str]


class ReplicaBroken(Exception):  # noqa: N818
    """The file is lost, damaged, locked by a frozen process, or not of this journal."""


class ReadTooLong(Exception):  # noqa: N818
    """A read passed its deadline."""


class ForeignEntry(UnreadableEntry):
    """An entry does not follow the replica's head: either may be the one that is wrong."""


@dataclass(frozen=True, slots=True)
class Head:
    """The entry a replica stands at; `bytes` is the size of all entries up to it."""

    seq: int
    hash: str
    time_ms: int
    bytes: int


EMPTY = Head(0, "", 0, 0)


def checksum(collection: str, key: str, revision: int, version: int, body: str) -> int:
    """Ties a row's body to its name and revision."""
    return zlib.crc32(f"{collection}\0{key}\0{revision}\0{version}\0{body}".encode())


def build(path: Path, catalogue: Catalogue, database_id: str) -> None:
    """Make a new, empty replica file: the tables, the declared indexes, and head 0."""
    connection = _connect(path, "rwc")
    try:
        connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN")
        for statement in (*query.TABLES, *query.index_statements(catalogue)):
            connection.execute(statement)
        connection.execute("INSERT INTO head VALUES (1, 0, '', 0, 0)")
        searched = [c.name for c in catalogue.collections.values() if c.searchable]
        about = {"database": database_id, "format": FORMAT, "searched": " ".join(searched)}
        about["fingerprint"] = catalogue.fingerprint()
        connection.executemany("INSERT INTO about VALUES (?, ?)", about.items())
        connection.execute("COMMIT")
    finally:
        connection.close()


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        timeout=BUSY_SECONDS,
        check_same_thread=False,
        cached_statements=256,
    )
    connection.execute("PRAGMA mmap_size = 0")
    # The journal in the bucket is what is durable; a machine that crashed gets a new boot id, and
    # with it a new replica.
    connection.execute("PRAGMA synchronous = OFF")
    return connection


class _Session:
    """One thread's connection; `in_use` is held for as long as that thread works with it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.in_use = threading.Lock()

    def close_if_idle(self) -> None:
        if self.in_use.acquire(blocking=False):
            self.connection.close()
            self.in_use.release()

    def __del__(self) -> None:
        self.connection.close()


class _Reading:
    """A read transaction. Not made of generators: every read of the platform goes through here."""

    __slots__ = ("_replica", "_seconds", "_session")

    def __init__(self, replica: "Replica", seconds: float) -> None:
        self._replica = replica
        self._seconds = seconds

    def __enter__(self) -> "Reader":
        replica = self._replica
        replica.check()
        session = self._session = replica.enter()
        try:
            return self._begun(replica, session.connection)
        except BaseException as error:
            self.__exit__()
            if isinstance(error, sqlite3.Error):
                raise ReplicaBroken(f"SQLite: {error}") from error
            raise

    def _begun(self, replica: "Replica", connection: sqlite3.Connection) -> "Reader":
        monotonic = replica.clock.monotonic
        deadline = monotonic() + self._seconds
        connection.set_progress_handler(lambda: monotonic() > deadline, _PROGRESS_STEPS)
        connection.execute("BEGIN")
        return Reader(connection, replica, replica.clock, deadline)

    def __exit__(self, *_: object) -> None:
        try:
            _end(self._session.connection)
        finally:
            self._replica.leave(self._session)


class Replica:
    """An open replica. Thread-safe; to be opened after fork."""

    def __init__(
        self, path: Path, catalogue: Catalogue, clock: Clock, *, link: Path | None = None
    ) -> None:
        """Open the file at `path`; with `link`, only as long as that link leads to its folder."""
        self.path = path
        self.catalogue = catalogue
        self.clock = clock
        self._link = link
        self._local = threading.local()
        # Weakly, so that a thread that ends takes its connection along.
        self._sessions: weakref.WeakSet[_Session] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._closed = False
        # While one connection is open SQLite keeps the log, whose inode is part of the identity.
        self._anchor = self._connected()
        with self._errors():
            rows = self._anchor.connection.execute("SELECT name, value FROM about")
            self.about: dict[str, str] = dict(rows.fetchall())
        self._identity = self._files()
        self._searched = frozenset(self.about["searched"].split())
        self.finder = Finder(path.parent, catalogue)

    def _files(self) -> tuple[int, int, int]:
        """The inodes of file and log, which nothing else can get while they are open here."""
        try:
            # os.stat, not Path.stat: this runs on every transaction, and is half the cost.
            main = os.stat(self.path)  # noqa: PTH116
            log = os.stat(f"{self.path}-wal").st_ino  # noqa: PTH116
        except OSError as error:
            raise ReplicaBroken(f"the replica's files are gone: {error}") from None
        # SQLite reads what is missing of a torn last page as zeros: documents would be absent.
        if main.st_size % _PAGE_BYTES:
            raise ReplicaBroken("the replica's file ends within a page")
        return (main.st_dev, main.st_ino, log)

    def check(self) -> None:
        """Raise ReplicaBroken if this is no longer the container's replica."""
        if self._link is not None and not leads_to(self._link, self.path.parent.name):
            raise ReplicaBroken("another replica was published in this one's place")
        if self._files() != self._identity:
            raise ReplicaBroken("another file stands in the replica's place")

    def close(self) -> None:
        """Refuse further use. A connection that a thread is inside of is closed when it leaves:
        closing it under that thread would crash the process.
        """
        with self._lock:
            self._closed = True
            sessions = list(self._sessions)
        for session in sessions:
            session.close_if_idle()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """The calling thread's own connection, held for the block."""
        session = self.enter()
        try:
            yield session.connection
        finally:
            self.leave(session)

    def enter(self) -> "_Session":
        """Take the calling thread's own connection, until `leave`."""
        session: _Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = self._connected()
        free = session.in_use.acquire(blocking=False)
        if not free and not self._closed:
            raise RuntimeError("a read or change of the database inside another one")
        if not free:
            raise ReplicaBroken("the replica is being closed")
        if self._closed:
            self.leave(session)
            raise ReplicaBroken("the replica was closed")
        return session

    def leave(self, session: "_Session") -> None:
        session.in_use.release()
        if self._closed:
            session.close_if_idle()

    def _connected(self) -> "_Session":
        with self._errors():
            session = _Session(_connect(self.path, "rw"))
        with self._lock:
            self._sessions.add(session)
        return session

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise ReplicaBroken(f"SQLite: {error}") from error

    # Reading

    def reading(self, seconds: float = READ_SECONDS) -> "_Reading":
        """One consistent state, for as long as the block lasts: `with replica.reading() as reader`.

        Raises ReplicaBroken, and ReadTooLong after `seconds`.
        """
        return _Reading(self, seconds)

    def head(self) -> Head:
        with self.reading() as reader:
            return reader.head

    # Applying

    def apply(self, stored: bytes, seq: int) -> bool:
        """Bring the replica from seq-1 to `seq`; False where it stands further already.

        Raises UnreadableEntry for bytes that are no entry or do not follow, ReplicaBroken where
        the file fails.
        """
        return self.apply_entry(decode(stored, seq), stored)

    def apply_entry(self, entry: Entry, stored: bytes) -> bool:
        """As `apply`, for whoever has just encoded `entry` to `stored`.

        Decoding is the exact inverse of encoding, so reading one's own entry back would cost the
        committer a sixth of its work to learn nothing.
        """
        self.check()
        with self._connection() as connection:
            applied = self._apply(connection, entry, stored)
            if applied:
                self._bound_log(connection)
        return applied

    def _apply(self, connection: sqlite3.Connection, entry: Entry, stored: bytes) -> bool:
        try:
            self._begin_write(connection)
            head = _head(connection)
            if head.seq >= entry.seq:
                return False
            _follows(entry, head)
            self._write(connection, entry)
            connection.execute(
                "UPDATE head SET seq = ?, hash = ?, time_ms = ?, bytes = bytes + ?",
                (entry.seq, digest(stored), entry.time_ms, len(stored)),
            )
            # SQLite ends a transaction by itself on some errors (a full disk); what came after
            # would then have committed statement by statement.
            if not connection.in_transaction:
                raise ReplicaBroken("SQLite ended the transaction by itself")
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise ReplicaBroken(f"SQLite: {error}") from error
        finally:
            _end(connection)
        return True

    def _begin_write(self, connection: sqlite3.Connection) -> None:
        connection.set_progress_handler(None, 0)
        # SQLite's own waiting backs off to 100 ms; a turn here lasts one or two.
        connection.execute("PRAGMA busy_timeout = 0")
        deadline = self.clock.monotonic() + BUSY_SECONDS
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                late = self.clock.monotonic() > deadline
                if late or error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
                self.clock.sleep(0.0005)
            else:
                connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
                return

    def _write(self, connection: sqlite3.Connection, entry: Entry) -> None:
        gone = [(w.collection, w.key) for w in entry.writes if w.body is None]
        kept = [_row(w, w.body) for w in entry.writes if w.body is not None]
        if gone:
            connection.executemany("DELETE FROM docs WHERE collection = ? AND key = ?", gone)
        if kept:
            connection.executemany("INSERT OR REPLACE INTO docs VALUES (?, ?, ?, ?, ?, ?)", kept)
        heard = [
            (w.revision, w.collection, w.key)
            for w in entry.writes
            if w.body is None and w.collection in self._searched
        ]
        if heard:
            connection.executemany("INSERT OR REPLACE INTO gone VALUES (?, ?, ?)", heard)

    def wal_bytes(self) -> int:
        """The size of the write-ahead log."""
        try:
            return os.stat(f"{self.path}-wal").st_size  # noqa: PTH116 - after every commit
        except OSError:
            return 0

    def _bound_log(self, connection: sqlite3.Connection) -> None:
        if self.wal_bytes() > WAL_BYTES_MAX:
            with self._errors():
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def leads_to(link: Path, name: str) -> bool:
    """Whether a symbolic link holds `name`."""
    try:
        return os.readlink(link) == name  # noqa: PTH115 - on every transaction
    except OSError:
        return False


def _end(connection: sqlite3.Connection) -> None:
    """Leave no transaction open, whatever happened."""
    if connection.in_transaction:
        try:
            connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise ReplicaBroken(f"SQLite: {error}") from error


def _head(connection: sqlite3.Connection) -> Head:
    row = connection.execute("SELECT seq, hash, time_ms, bytes FROM head").fetchone()
    if row is None:
        raise ReplicaBroken("the replica has no head")
    return Head(*row)


def _follows(entry: Entry, head: Head) -> None:
    if entry.seq != head.seq + 1:
        raise ReplicaBroken(f"entry {entry.seq} cannot be applied at {head.seq}")
    if entry.prev != head.hash:
        raise ForeignEntry(
            f"journal entry {entry.seq} does not follow entry {head.seq} as this replica has it: "
            f"it names {entry.prev[:12]}…, the replica stands at {head.hash[:12]}…"
        )


def _row(write: Write, body: bytes) -> tuple[str, str, int, int, int, str]:
    text = body.decode()
    total = checksum(write.collection, write.key, write.revision, write.version, text)
    return (write.collection, write.key, write.revision, write.version, total, text)


@dataclass(frozen=True, slots=True)
class Found:
    """A row as read and verified, before upgrade."""

    key: str
    revision: int
    version: int
    body: str


class Reader:
    """One consistent state of a replica, inside `Replica.reading`."""

    def __init__(
        self, connection: sqlite3.Connection, replica: Replica, clock: Clock, deadline: float
    ) -> None:
        self._connection = connection
        self.catalogue = replica.catalogue
        self.finder = replica.finder
        self._clock = clock
        self._deadline = deadline
        self._known: dict[tuple[str, str], Found | None] = {}
        # Reading the head first fixes the state for the whole block.
        self.head = _head(connection)

    def get(self, collection: str, key: str) -> Found | None:
        """A document of this state. Who asks again, as a batch does for what sells well, costs
        nothing: a state does not change.
        """
        name = (collection, key)
        if name not in self._known:
            rows = self._fetched(query.GET, name)
            self._known[name] = _verified(collection, rows[0]) if rows else None
        return self._known[name]

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
        # SQLite's own handler sees only long statements; a loop of short ones ends here.
        if self._clock.monotonic() > self._deadline:
            raise ReadTooLong("a read passed its deadline")
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_MISUSE)
            if code == sqlite3.SQLITE_INTERRUPT:
                raise ReadTooLong("a read passed its deadline") from None
            # A table or index that is not there is the file's fault, though its code says misuse.
            lacking = str(error).startswith("no such")
            if code in _MISUSE and not lacking and self._connection.in_transaction:
                raise
            raise ReplicaBroken(f"SQLite: {error}") from error

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
        return self.upgraded(collection, _verified(collection, row))

    def dump(self) -> Iterator[tuple[str, str, int, int, str]]:
        """Every document in order: (collection, key, revision, version, body), verified."""
        rows = self._connection.execute(
            "SELECT collection, key, revision, version, sum, body FROM docs ORDER BY 1, 2"
        )
        for collection, *row in rows:
            found = _verified(collection, tuple(row))
            yield (collection, found.key, found.revision, found.version, found.body)

    def upgraded(self, collection: str, found: Found) -> Body:
        """The body at the version that the catalogue declares."""
        body: Body = orjson.loads(found.body)
        declared = self.catalogue.collections.get(collection)
        return body if declared is None else declared.upgrade(body, found.version)


def _verified(collection: str, row: Row) -> Found:
    key, revision, version, total, body = row
    if checksum(collection, key, revision, version, body) != total:
        raise ReplicaBroken(f"the row {collection}/{key} does not match its checksum")
    return Found(key, revision, version, body)
