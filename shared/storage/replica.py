"""`Replica`: one SQLite file, derived from the journal, that a container's processes share.

It stands at exactly one entry, which it names with its hash in the row `head`; documents, indexes
and head change in one SQLite transaction. It can be thrown away at any moment: `directory.py`
says where it lives and when it is condemned.

- `apply` is the only writer. It takes an entry from its stored bytes, checks that it follows
  (`prev`), and is the same for the committer and for followers. It is total: no entry that
  `entry.decode` accepts can fail on its content.
- A read is a short explicit transaction, under a row cap and a deadline (`reader.py`); that of one
  document is one statement, unless its turn holds a state (`one`).
- `ReplicaBroken` says that this file can no longer be trusted or used. It is never repaired.

Nothing but SQLite opens the file: closing any descriptor of it in this process would drop
SQLite's POSIX locks. Connections are one a thread, opened after fork.
"""

import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from shared import waiting
from shared.clock import Clock
from shared.storage import query, wal
from shared.storage.catalogue import Catalogue
from shared.storage.entry import Entry, UnreadableEntry, Write, decode, digest
from shared.storage.finder import Finder
from shared.storage.reader import (
    Found,
    Head,
    Reader,
    ReadTooLong,
    ReplicaBroken,
    checksum,
    head_of,
    one,
    one_of,
)
from shared.storage.session import Session

FORMAT = "2"
"""Of the replica's own tables; part of its directory's name, so a change builds a new one."""

READ_SECONDS = 2.0
"""A read that takes longer is cut off: an open read pins the write-ahead log."""

ROWS_MAX = 1000
"""Most rows that one `find` or `search` gives."""

_PAGE_BYTES = 4096
"""SQLite's default since 3.12; `build` asks for it by name."""

_PROGRESS_STEPS = 20_000


class ForeignEntry(UnreadableEntry):
    """An entry does not follow the replica's head: either may be the one that is wrong."""


class CannotOpen(ReadTooLong):
    """The file is there, but this process cannot open it: descriptors have run out.

    That is nothing against the replica, which other processes read. As where a read takes too long,
    whoever asked may ask again.
    """


def build(path: Path, catalogue: Catalogue, database_id: str) -> None:
    """Make a new, empty replica file: the tables, the declared indexes, and head 0."""
    connection = _opened(path, "rwc")
    try:
        _prepare(connection)
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


def _opened(path: Path, mode: str) -> sqlite3.Connection:
    """Only the file itself is open yet, not its log."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        timeout=wal.BUSY_SECONDS,
        check_same_thread=False,
        cached_statements=256,
    )


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA mmap_size = 0")
    # The journal in the bucket is what is durable; a machine that crashed gets a new boot id, and
    # with it a new replica.
    connection.execute("PRAGMA synchronous = OFF")


def _cannot_open(error: sqlite3.OperationalError) -> bool:
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK)
    return code & 0xFF == sqlite3.SQLITE_CANTOPEN


class _Reading:
    """A read transaction. Not made of generators: most reads of the platform go through here."""

    __slots__ = ("_replica", "_seconds", "_session")

    def __init__(self, replica: "Replica", seconds: float) -> None:
        self._replica = replica
        self._seconds = seconds

    def __enter__(self) -> Reader:
        replica = self._replica
        session = self._session = replica.enter()
        try:
            replica.check_for(session)
            session.let_go()
            return self._begun(replica, session.connection)
        except BaseException as error:
            self.__exit__()
            if isinstance(error, sqlite3.Error):
                raise ReplicaBroken(f"SQLite: {error}") from error
            raise

    def _begun(self, replica: "Replica", connection: sqlite3.Connection) -> Reader:
        monotonic = replica.clock.monotonic
        deadline = monotonic() + self._seconds
        connection.set_progress_handler(lambda: monotonic() > deadline, _PROGRESS_STEPS)
        connection.execute("BEGIN")
        return Reader(connection, replica.catalogue, replica.finder, replica.clock, deadline)

    def __exit__(self, *_: object) -> None:
        connection = self._session.connection
        try:
            # Here, not in what comes next on this connection: SQLite counts steps over all its
            # statements, that which ends the read among them, and would ask whether time is up.
            connection.set_progress_handler(None, 0)
            _end(connection)
        finally:
            self._replica.leave(self._session)


class Replica:
    """An open replica. Thread-safe; to be opened after fork."""

    def __init__(
        self, path: Path, catalogue: Catalogue, clock: Clock, *, link: Path | None = None
    ) -> None:
        """Open the file at `path`; with `link`, only as long as that link leads to its folder."""
        self.path = path
        # As strings: they are asked for on every transaction. By its published name a file tells
        # with one look that it is there, and that the link still leads to it.
        self.log = wal.WriteAheadLog(f"{path}-wal", clock)
        self._published = str(path if link is None else link / path.name)
        self.is_published = link is not None
        self.catalogue = catalogue
        self.clock = clock
        self._local = threading.local()
        # Weakly, so that a thread that ends takes its connection along.
        self._sessions: weakref.WeakSet[Session] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._closed = False
        # While one connection is open SQLite keeps the log, whose inode is part of the identity.
        self._identity: tuple[int, int, int] | None = None
        self._anchor = self._connected()
        with self._errors():
            rows = self._anchor.connection.execute("SELECT name, value FROM about")
            self.about: dict[str, str] = dict(rows.fetchall())
        self._identity, _ = self._files(str(path))
        self._searched = frozenset(self.about["searched"].split())
        self.finder = Finder(path.parent, catalogue, clock)

    def _files(self, path: str) -> tuple[tuple[int, int, int], int]:
        """The inodes of file and log, which nothing else can get while they are open here; and the
        log's size in bytes.
        """
        try:
            # os.stat, not Path.stat: this runs on every transaction, and is half the cost.
            main = os.stat(path)  # noqa: PTH116
            log = os.stat(self.log.path)  # noqa: PTH116
        except OSError as error:
            raise ReplicaBroken(f"the replica's files are gone: {error}") from None
        # SQLite reads what is missing of a torn last page as zeros: documents would be absent.
        if main.st_size % _PAGE_BYTES:
            raise ReplicaBroken("the replica's file ends within a page")
        return (main.st_dev, main.st_ino, log.st_ino), log.st_size

    def check(self) -> int:
        """The size of the log in bytes. Raises ReplicaBroken if this is no longer the container's
        replica.
        """
        identity, log_bytes = self._files(self._published)
        if identity != self._identity:
            raise ReplicaBroken("another file stands in the replica's place")
        return log_bytes

    def check_for(self, session: Session) -> None:
        """The same for what is about to be read, once for all requests that one thread has at hand:
        to look at two files for each is an eighth of what serving it takes.
        """
        if not session.is_checked:
            log_bytes = self.check()
            session.is_checked = waiting.soon(partial(self._end_turn, session))
            session.may_hold = session.is_checked and log_bytes <= wal.SHORT_BYTES

    def _end_turn(self, session: Session) -> None:
        """What one thread had at hand has been served."""
        session.is_checked = session.may_hold = False
        # Taken by another thread, it is being closed, and the state with it.
        if session.held is not None and session.in_use.acquire(blocking=False):
            try:
                # Whatever there is to be said of the file, the next to read it is told.
                with suppress(sqlite3.Error):
                    session.let_go()
            finally:
                self.leave(session)

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
            with self._errors():
                session.let_go()
            yield session.connection
        finally:
            self.leave(session)

    def enter(self) -> Session:
        """Take the calling thread's own connection, until `leave`."""
        session: Session | None = getattr(self._local, "session", None)
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

    def leave(self, session: Session) -> None:
        session.in_use.release()
        if self._closed:
            session.close_if_idle()

    def _connected(self) -> Session:
        with self._errors():
            try:
                session = self._prepared()
            except sqlite3.OperationalError as error:
                # SQLite does not say why; who is allowed to open it lacks the means.
                if _cannot_open(error) and os.access(self.path, os.R_OK | os.W_OK):
                    raise CannotOpen(f"the replica cannot be opened: {error}") from error
                raise
        with self._lock:
            self._sessions.add(session)
        return session

    def _prepared(self) -> Session:
        session = Session(_opened(self.path, "rw"))
        # SQLite knows no user of a file that was just put in an open one's place: it would cut
        # short the memory in which all here share their view of the log, and end the process.
        if self._identity is not None:
            self.check()
        # This opens the log as well: all that a connection needs to have open.
        _prepare(session.connection)
        if self.is_published:
            session.connection.execute(f"PRAGMA wal_autocheckpoint = {wal.FOLDED_PAGES}")
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

    def one(self, collection: str, key: str, seq: int = 0) -> tuple[Found, int] | None:
        """A document if it is there, and the entry of the state that it is of: of one that stands
        at `seq` or further, where the replica does.

        One statement is a read transaction by itself, and costs less than one that is begun, asked
        for its head, asked for the document, and ended; but for many in one turn that is done once.
        Raises ReplicaBroken, and sqlite3.ProgrammingError for names of a type that SQLite does not
        know.
        """
        session = self.enter()
        try:
            held = self._held(session, seq)
            if held is None:
                return one(session.connection, collection, key)
            found = one_of(session.connection, collection, key)
            return None if found is None else (found, held)
        except sqlite3.ProgrammingError:
            raise
        except sqlite3.Error as error:
            raise ReplicaBroken(f"SQLite: {error}") from error
        finally:
            self.leave(session)

    def _held(self, session: Session, seq: int) -> int | None:
        """The entry of the state that the turn holds, behind its first read of any kind, begun anew
        where that stands before `seq`; None where each read has its own.
        """
        if not session.may_hold:
            self.check_for(session)
            return None
        if session.held is None or session.held < seq:
            session.let_go()
            session.hold()
        return session.held

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
                with self._errors():
                    self.log.bound(connection)
        return applied

    def _apply(self, connection: sqlite3.Connection, entry: Entry, stored: bytes) -> bool:
        try:
            self._begin_write(connection)
            head = head_of(connection)
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
        # SQLite's own waiting backs off to 100 ms; a turn here lasts one or two.
        connection.execute("PRAGMA busy_timeout = 0")
        deadline = self.clock.monotonic() + wal.BUSY_SECONDS
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                late = self.clock.monotonic() > deadline
                if late or error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
                self.clock.sleep(0.0005)
            else:
                connection.execute(f"PRAGMA busy_timeout = {int(wal.BUSY_SECONDS * 1000)}")
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

    def used_bytes(self) -> int:
        """What a copy of it takes: its pages, but for the free ones. Raises ReplicaBroken."""
        with self._connection() as connection, self._errors():
            [pages] = connection.execute("PRAGMA page_count").fetchone()
            [free] = connection.execute("PRAGMA freelist_count").fetchone()
        return int(pages - free) * _PAGE_BYTES

    def fold(self) -> bool:
        """Copy what the log holds into the file, as far as readers allow; nobody waits for it.
        Whether the log is short then.

        Raises ReplicaBroken and CannotOpen.
        """
        self.check()
        with self._connection() as connection, self._errors():
            return self.log.fold(connection)


def _end(connection: sqlite3.Connection) -> None:
    """Leave no transaction open, whatever happened."""
    if connection.in_transaction:
        try:
            connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise ReplicaBroken(f"SQLite: {error}") from error


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
