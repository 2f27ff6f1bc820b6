"""`JournalDatabase`: one service's documents; where the engine's parts meet.

    database = JournalDatabase(store, CATALOGUE, prefix="commerce/", directory=Path(…), clock=clock)
    committed = database.transact_once(claim, change)
    answer = database.read(lambda view: view.get("orders", key), FRESH)

It implements `access.Database`. Opening is lazy and tried again on every call, so that a service
starts while its store is away, says so in `troubles`, and serves as soon as it can. All that waits
is bounded; what cannot be served in time is `Refused(BUSY)`.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from shared import errors, waiting
from shared.clock import Clock
from shared.storage import archive, idempotency
from shared.storage import entry as entries
from shared.storage.access import (
    FRESH,
    Change,
    Chore,
    Claim,
    Committed,
    Document,
    Freshness,
    Query,
)
from shared.storage.archiver import archivers
from shared.storage.catalogue import Catalogue
from shared.storage.chores import Chores
from shared.storage.committer import CommitFigures, CommitLimits, Committer
from shared.storage.compaction import Compaction
from shared.storage.directory import ReplicaDirectory
from shared.storage.evidence import Evidence
from shared.storage.feeder import Feeder
from shared.storage.fetcher import Fetcher, with_archive
from shared.storage.follower import Catching, Follower
from shared.storage.journal import Journal, ensure_journal
from shared.storage.looks import looking
from shared.storage.makers import Maker
from shared.storage.objects import ObjectStore, StoreError, Uncertain
from shared.storage.pending import busy
from shared.storage.proofs import Board, ProofTimeout, Prover
from shared.storage.pulse import Pulse
from shared.storage.reader import Head
from shared.storage.reads import PATIENCE_SECONDS, UNAVAILABLE, Reads, probe
from shared.storage.rivals import Rivals
from shared.storage.snapshot import Snapshots
from shared.storage.tailer import EVERY_SECONDS, Tailer
from shared.storage.telemetry import SILENT, Telemetry
from shared.storage.transaction import ORDINAL_BITS, ReadOnlyView
from shared.storage.turnstile import Turnstile
from shared.storage.watched import Watched

log = logging.getLogger(__name__)

T = TypeVar("T")

REOPEN_SECONDS = 0.5
"""Between attempts to open: a dead store is not asked anew by every request."""

MADE_CHECK_SECONDS = 10.0

CLOSE_SECONDS = 5.0
"""How long closing waits for what is being made; nothing depends on it."""


@dataclass(frozen=True, slots=True)
class Parts:
    """An opened database."""

    journal: Journal
    follower: Follower
    prover: Prover
    evidence: Evidence
    committer: Committer
    tailer: Tailer
    board: Board
    fetcher: Fetcher
    reads: Reads


class JournalDatabase:
    """One service's documents in one process; `access.Database`. To be made after fork.

    `admit`, if given, checks the store before it is first used and raises where it is unsafe.
    """

    def __init__(
        self,
        store: ObjectStore,
        catalogue: Catalogue,
        *,
        prefix: str,
        directory: Path,
        clock: Clock,
        writer: str = "",
        limits: CommitLimits | None = None,
        admit: Callable[[], None] | None = None,
        chore: Chore | None = None,
        archive_ms: int | None = None,
        telemetry: Telemetry = SILENT,
    ) -> None:
        self._telemetry = telemetry
        self._store = store = self.pulse = Pulse(store, clock)
        self._catalogue = archive.with_volumes(idempotency.with_rows(catalogue))
        self._prefix = prefix
        self.directory = directory
        self._clock = clock
        self._writer = writer or clock.random(6).hex()
        self._limits = limits or CommitLimits()
        self._admit = admit
        self._chores = Chores(
            chore,
            clock,
            read=self._read_replica,
            commit=self._commit,
            stopped=lambda: self._closed,
        )
        self._parts: Parts | None = None
        self._opening = threading.Lock()
        self._failed_at = float("-inf")
        self._closed = False
        self.failure = ""
        self.failed_by: Exception | None = None
        self.catching = Catching(clock.monotonic())
        self._snapshots = Snapshots(store, prefix, self._catalogue, clock)
        self._compaction = Compaction(store, prefix, clock)
        self._makers: tuple[Maker, ...] = (
            Maker("snapshot", self._snapshot_due, self._make_snapshot),
            Maker("segment", self._compaction.due, self._make_segments),
            *archivers(
                self._catalogue,
                store,
                prefix,
                clock,
                kept_ms=archive_ms,
                read=self._read_replica,
                commit=self._commit,
                stopped=lambda: self._closed,
            ),
        )
        self._made_checked = float("-inf")
        self._not_followed = ""
        self._feeder = Feeder()

    # Opening and closing

    def _opened(self) -> Parts:
        parts = self._parts
        return waiting.apart(self._open_once) if parts is None else parts

    def _open_once(self) -> Parts:
        if not self._opening.acquire(timeout=PATIENCE_SECONDS):
            raise busy()
        try:
            if self._parts is None:
                self._try_open()
            return self._parts  # type: ignore[return-value]
        finally:
            self._opening.release()

    def _try_open(self) -> None:
        if self._closed or self._clock.monotonic() - self._failed_at < REOPEN_SECONDS:
            raise busy()
        try:
            if self._admit is not None:
                self._admit()
            self._parts = self._open()
        except Exception as error:
            self._failed_at = self._clock.monotonic()
            self.failed_by = error
            self.failure = self._told(error)
            log.error("the database cannot be opened: %s", self.failure)
            raise busy() from error

    def _open(self) -> Parts:
        journal = Journal(self._store, self._prefix, self._clock)
        database_id = ensure_journal(journal, self._clock, self._writer)
        folder = ReplicaDirectory(self.directory, database_id, self._catalogue, self._clock)
        with ExitStack() as given_up:
            given_up.callback(folder.close)
            follower = Follower(
                journal,
                folder,
                self._snapshots,
                self._catalogue,
                database_id,
                self._clock,
                Rivals(self._clock, self._writer),
                self.catching,
            )
            given_up.callback(follower.close)
            # A listing, not only a probe: a key beyond a gap must stop this writer from the start.
            head = journal.head_from(follower.replica.head().seq)
            if head > follower.replica.head().seq:
                probe(follower)
            board = Board(folder.path / "proof")
            given_up.pop_all()
        prover = Prover(self._clock, board, lambda: probe(follower))
        committer = Committer(
            journal=journal,
            follower=follower,
            turns=Turnstile(folder.path),
            proofs=prover,
            clock=self._clock,
            writer=self._writer,
            skew_ms=self._store.clock_skew_ms,
            tidy=idempotency.trim,
            limits=self._limits,
            telemetry=self._telemetry,
        )
        tailer = Tailer(folder.path / "tailer.lock", self._clock, self._follow)
        fetcher = Fetcher(self._store, self._prefix, lambda: self._catch_up(follower))
        evidence = Evidence(prover, self.pulse, self._clock)
        reads = Reads(follower, evidence, fetcher, self._clock)
        return Parts(journal, follower, prover, evidence, committer, tailer, board, fetcher, reads)

    def close(self) -> None:
        """Finish what was begun, and let go of threads and files."""
        with self._opening:
            self._closed = True
            parts, self._parts = self._parts, None
        if parts is None:
            return
        parts.committer.close()
        parts.tailer.close()
        self._feeder.close(CLOSE_SECONDS)
        self._chores.join(CLOSE_SECONDS)
        for maker in self._makers:
            maker.join(CLOSE_SECONDS)
        parts.follower.close()
        parts.board.close()

    # Writing

    def transact(self, change: Change[T]) -> Committed[T]:
        return self._transact(change, None)

    def _transact(self, change: Change[T], first: tuple[str, str] | None) -> Committed[T]:
        parts = self._opened()
        parts.tailer.touch()
        parts.evidence.check_store()
        return parts.fetcher.run(
            lambda fetched: parts.committer.commit(with_archive(fetched, change), first)
        )

    def _catch_up(self, follower: Follower) -> None:
        try:
            probe(follower)
        except UNAVAILABLE as error:
            raise busy() from error

    def _commit(self, change: Change[T]) -> Committed[T]:
        """Past `transact`, which would keep the tailer awake for its own sake."""
        return self._opened().committer.commit(change)

    def transact_once(self, claim: Claim, change: Change[Document]) -> Committed[Document]:
        committed = self._transact(idempotency.once(claim, change), idempotency.row_of(claim))
        outcome = committed.value
        document = outcome.document
        if isinstance(document, idempotency.Reference):
            document = self._as_it_was(document)
        return Committed(document, committed.seq, outcome.replayed)

    def _as_it_was(self, said: idempotency.Reference) -> Document:
        """A document at an earlier revision: its entry still has it."""
        seq = said.revision >> ORDINAL_BITS
        journal = self._opened().journal
        try:
            stored = waiting.apart(lambda: journal.read(seq))
        except StoreError as error:
            raise busy() from error
        if stored is None:
            raise busy()
        for write in entries.decode(stored, seq).writes:
            if (write.collection, write.key) == (said.collection, said.key) and write.body:
                body = entries.body_of(write)
                declared = self._catalogue.collections[write.collection]
                upgraded = declared.upgrade(body, write.version)
                return Document(write.collection, write.key, write.revision, upgraded)
        raise errors.Refused(errors.NOT_FOUND)

    # Reading

    def read(self, query: Query[T], freshness: Freshness = FRESH) -> Committed[T]:
        return self._reads().read(query, freshness)

    def read_one(
        self, collection: str, key: str, freshness: Freshness = FRESH
    ) -> Committed[Document]:
        return self._reads().read_one(collection, key, freshness)

    def _reads(self) -> Reads:
        parts = self._opened()
        parts.tailer.touch()
        return parts.reads

    def _read_replica(self, query: Callable[[ReadOnlyView], T]) -> T:
        """Past `read`, which would keep the tailer awake for its own sake."""
        return self._opened().reads.as_it_is(query)

    # Following

    def _follow(self) -> None:
        """One tick of the tailer."""
        parts = self._parts
        if parts is None:
            return
        now = self._clock.monotonic()
        if parts.prover.latest().began < now - EVERY_SECONDS:
            self._prove(parts, now)
        if now - self._made_checked > MADE_CHECK_SECONDS:
            self._made_checked = now
            head = parts.follower.replica.head()
            for maker in self._makers:
                maker.consider(head)
        self.feed()
        self._chores.consider(now)

    def _prove(self, parts: Parts, now: float) -> None:
        """Prove the head; say in the log what is in the way, once for as long as it is the same."""
        try:
            parts.prover.prove(now, now + PATIENCE_SECONDS)
        except UNAVAILABLE as error:
            told = self._told(error)
            if told != self._not_followed:
                log.warning("the journal is not followed: %s", told)
            self._not_followed = told
        else:
            self._not_followed = ""

    def feed(self) -> None:
        """Let search hear of what was written, unless it is being told already."""
        if self._parts is not None and self._catalogue.searchable:
            self._feeder.feed(self._parts.follower.replica)

    def _snapshot_due(self, head: Head) -> str | None:
        parts = self._parts
        if parts is None:
            return None
        return self._snapshots.due(head, parts.follower.replica.used_bytes())

    def _make_snapshot(self, claim: str) -> None:
        parts = self._parts
        if parts is not None:
            self._snapshots.make(claim, parts.follower.replica, self.directory)

    def _make_segments(self, claim: str) -> None:
        parts = self._parts
        if parts is not None:
            self._compaction.make(claim, parts.follower.replica.head(), lambda: self._closed)

    # For operators

    def troubles(self) -> list[str]:
        """What keeps this container from serving, each in one sentence; empty when it is ready."""
        try:
            parts = self._opened()
        except errors.Refused:
            return [self.failure or "the database is being opened"]
        now = self._clock.monotonic()
        try:
            if parts.prover.latest().began < now - 2.0:
                parts.evidence.prove(now, now + PATIENCE_SECONDS)
            # A young proof says nothing of the replica: its disk may have filled up since.
            parts.reads.at(looking(lambda view: view.seq), 0)
        except (*UNAVAILABLE, errors.Refused) as error:
            return [parts.follower.trouble or self._told(error)]
        return [parts.follower.trouble] if parts.follower.trouble else parts.committer.troubles()

    @property
    def parts(self) -> Parts | None:
        """The opened database; None before that."""
        return self._parts

    def _told(self, error: Exception) -> str:
        """One sentence for the operator."""
        if isinstance(error, StoreError):
            return error.told()
        if isinstance(error, ProofTimeout | errors.Refused):
            return f"{Uncertain.meaning} in time"
        if isinstance(error, OSError):
            return f"the directory {self.directory} cannot be used: {error}"
        return str(error) or repr(error)

    def watched(self) -> Watched | None:
        """What gauges are read from; None before it was opened."""
        parts = self._parts
        if parts is None:
            return None
        return Watched(parts.follower, parts.prover, parts.committer, self._catalogue)

    def figures(self) -> CommitFigures:
        """Counts of this process's commits."""
        return self._opened().committer.figures
