"""`Follower`: keeps one container's replica in step with the journal, and replaces a broken one.

- On opening, a published replica is used only if the journal holds its own head entry with its own
  hash: after a restore of the bucket it may be ahead, or of another history. Else one is rebuilt,
  from the newest snapshot that fits or from entry 1.
- `probe` finds and applies what others wrote; it is the act behind every proof of the head.
- An entry that cannot be applied, a gap, or an entry that does not follow is remembered as
  `trouble`: it is named, never skipped, and nothing is read or written past it.
"""

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from shared import waiting
from shared.clock import Clock
from shared.storage import replica as replicas
from shared.storage.catalogue import Catalogue
from shared.storage.directory import ReplicaDirectory
from shared.storage.entry import Entry, UnreadableEntry, decode, digest
from shared.storage.folding import Folding
from shared.storage.journal import Journal, JournalGap
from shared.storage.reader import Reader, ReplicaBroken
from shared.storage.replica import ForeignEntry, Replica
from shared.storage.rivals import Rivals
from shared.storage.snapshot import Snapshots
from shared.waiting import Signal

log = logging.getLogger(__name__)

RENEW_SECONDS = 2.0
"""How long a thread waits while another one replaces the replica, which may take minutes."""

LISTED_SECONDS = 60.0
"""A listing at least so often: only it can tell a gap from the end of the journal."""


@dataclass(slots=True)
class Catching:
    """How far a replica is that catches up: `done` of `total` entries; `moved_at` (monotonic) is
    when it last came on. `building` while one is built that nobody can read yet.
    """

    moved_at: float
    building: bool = False
    done: int = 0
    total: int = 0


class JournalTrouble(Exception):  # noqa: N818
    """The journal itself is damaged or newer than this release; the message names the entry."""


class Follower:
    """One process's hold on its container's replica. Thread-safe; opened after fork."""

    def __init__(
        self,
        journal: Journal,
        directory: ReplicaDirectory,
        snapshots: Snapshots,
        catalogue: Catalogue,
        database_id: str,
        clock: Clock,
        rivals: Rivals,
        catching: Catching | None = None,
    ) -> None:
        self._journal = journal
        self._directory = directory
        self._snapshots = snapshots
        self._catalogue = catalogue
        self._database_id = database_id
        self._clock = clock
        self.rivals = rivals
        self.catching = catching or Catching(clock.monotonic())
        self._swap = threading.Lock()
        self._renewing: list[Signal] | None = None
        """Who waits for the replica that is being made; None while none is."""
        self._listed_at = clock.monotonic()
        self.trouble: str | None = None
        self.rebuilds = 0
        self._folding = Folding(lambda: self.replica)
        self.replica = self._first()

    def _first(self) -> Replica:
        found = self._directory.published()
        if found is not None and self._belongs(found):
            return found
        if found is not None:
            log.warning("the replica %s is not of this journal: it is built anew", found.path)
        return self._replaced(found)

    def _belongs(self, found: Replica) -> bool:
        """Whether the journal holds the replica's head entry, by its hash."""
        try:
            head = found.head()
        except ReplicaBroken:
            return False
        if head.seq == 0:
            return True
        stored = self._journal.read(head.seq)
        return stored is not None and digest(stored) == head.hash

    def reading(self, seconds: float = replicas.READ_SECONDS) -> AbstractContextManager[Reader]:
        """One state of the replica. A broken replica raises ReplicaBroken; `renew` replaces it."""
        return self.replica.reading(seconds)

    def renew(self, broken: Replica) -> None:
        """Replace a replica that failed, unless another thread or process has already.

        Raises ReplicaBroken where there is still none after `RENEW_SECONDS` of another's work.
        Only who replaces it does so apart: if all who wait did, nobody else had a thread.
        """
        with self._swap:
            if self.replica is not broken:
                return
            if self._renewing is None:
                told, self._renewing = None, []
            else:
                told = waiting.signal()
                self._renewing.append(told)
        if told is None:
            self._lead_renewal(broken)
        elif not told.wait(RENEW_SECONDS) or self.replica is broken:
            raise ReplicaBroken("the replica is being replaced")

    def _lead_renewal(self, broken: Replica) -> None:
        try:
            self.replica = waiting.apart(lambda: self._replaced(broken))
        finally:
            with self._swap:
                told, self._renewing = self._renewing or [], None
            for each in told:
                each.set()

    def _replaced(self, broken: Replica | None) -> Replica:
        self.rebuilds += 1
        self.catching.building = True
        try:
            return self._directory.replace(broken, self._build)
        except (OSError, sqlite3.Error) as error:
            raise ReplicaBroken(
                f"no replica can be built in {self._directory.path}: {error}"
            ) from error
        finally:
            # In this order: whoever waited for it has not been at one thing for all that time.
            self.catching.moved_at = self._clock.monotonic()
            self.catching.building = False

    def _build(self, path: Path) -> None:
        if not self._snapshots.restore(path):
            replicas.build(path, self._catalogue, self._database_id)
        built = Replica(path, self._catalogue, self._clock)
        try:
            self._catch_up(built)
        finally:
            built.close()

    def probe(self) -> int:
        """Bring the replica to the journal's head; the seq that was the head after the call began.

        Raises StoreError, JournalTrouble, ReplicaBroken.
        """
        return self._catch_up(self.replica)

    def _catch_up(self, replica: Replica) -> int:
        with self.naming_trouble():
            head = replica.head().seq
            stored = self._journal.read(head + 1)
            if stored is None:
                self._confirm_end(replica, head)
                return head
            self._apply(replica, stored, head + 1)
            target = self._journal.head_from(head + 1)
            if target > head + 1:
                self.catching.total = target - head
                # Closed here: an error keeps this frame, and with it threads that read ahead, until
                # a collector finds both and has whatever thread it is in wait for them.
                with closing(self._journal.read_range(head + 2, target)) as entries:
                    for seq, stored in enumerate(entries, head + 2):
                        self._apply(replica, stored, seq)
                        self.catching.done = seq - head
                        self.catching.moved_at = self._clock.monotonic()
            self.trouble = None
            if replica.is_published:
                self._folding.tell()
            return target

    def _confirm_end(self, replica: Replica, head: int) -> None:
        """A gap looks like the end of the journal; only a listing tells them apart. So does the
        end of a journal that was restored, under this process, to an entry before its head.
        """
        now = self._clock.monotonic()
        if self.trouble is not None or now - self._listed_at > LISTED_SECONDS:
            self._journal.head_from(head)
            if not self._belongs(replica):
                raise ReplicaBroken(f"the journal no longer holds entry {head} as it was")
            self._listed_at = now
            self.trouble = None

    def _apply(self, replica: Replica, stored: bytes, seq: int) -> None:
        try:
            entry = decode(stored, seq)
            replica.apply_entry(entry, stored)
            self.rivals.saw(entry.writer)
        except ForeignEntry as error:
            if self._belongs(replica):
                raise
            # The bucket was restored under this process, or an answer was garbled on its way.
            raise ReplicaBroken(f"the journal holds another history: {error}") from error

    def advance(self, seq: int, stored: bytes) -> None:
        """Apply another writer's entry, whose stored bytes are at hand."""
        with self.naming_trouble():
            self._apply(self.replica, stored, seq)
        self._folding.tell()

    def advance_own(self, entry: Entry, stored: bytes) -> None:
        """Apply the entry that this process encoded to `stored` and has seen stored."""
        with self.naming_trouble():
            self.rivals.saw(entry.writer)
            self.replica.apply_entry(entry, stored)
        self._folding.tell()

    @contextmanager
    def naming_trouble(self) -> Iterator[None]:
        """Remember, and raise as JournalTrouble, what is wrong with the journal itself."""
        try:
            yield
        except (UnreadableEntry, JournalGap) as error:
            self.trouble = str(error)
            raise JournalTrouble(str(error)) from error

    def close(self) -> None:
        self._folding.close()
        self.replica.close()
        self._directory.close()
