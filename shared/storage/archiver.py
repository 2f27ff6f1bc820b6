"""The archiver: lets documents that are over leave the replica, some at a time.

For one collection: of the documents that have been over for long enough it takes those that belong
into the same volume as the oldest, binds them and what that volume held into a new one (two, where
it grows too large), stores that, and then commits one entry that names the new volume in place of
the old and deletes the documents. In that order, so that a crash between leaves an object that
nobody names, and nothing else.

- The entry takes effect only if the volume is still the one that was read: of two archivers at
  once, one does nothing.
- A document that was written since it was read stays: its copy counts no more (`archive.py`).
- Leaving changes nothing of a document: it is bound as it is stored, at the version that it has.
- The superseded object is removed when the entry stands. A reader on an older state, whom that
  takes by surprise, comes level and looks again. Whose entry has no known outcome, removes nothing.

What it binds stays in the journal, too, as all that was ever written does.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import orjson

from shared.clock import Clock
from shared.storage import archive, volume
from shared.storage.access import Change, Committed, Document, Transaction
from shared.storage.archive import Volume, due_index, list_values
from shared.storage.catalogue import VOLUMES, Catalogue, member
from shared.storage.claims import Claims
from shared.storage.entry import digest
from shared.storage.makers import Maker
from shared.storage.objects import ObjectStore, StoreError
from shared.storage.reader import Found, Head
from shared.storage.transaction import ORDINAL_BITS, BatchTransaction, ReadOnlyView
from shared.storage.volume import Archived

log = logging.getLogger(__name__)

T = TypeVar("T")


class ReadReplica(Protocol):
    """Runs a query on what the replica has now."""

    def __call__(self, query: Callable[[ReadOnlyView], T], /) -> T: ...


Commit = Callable[[Change[bool]], Committed[bool]]


RUN_DOCUMENTS_MAX = 500
"""That leave with one entry: each takes some 20 µs of the 50 ms that a change has."""

RUN_DOCUMENTS_MIN = 200
"""Fewer are left for later, unless the oldest has been due for `LATE_MS`."""

RUN_BYTES_MIN = 2 << 20
"""With so much an entry's documents are enough."""

LATE_MS = 24 * 3600 * 1000

RUNS_MAX = 20
"""Entries under one claim."""

AGAIN_ENTRIES = 1_000
"""After which the work of an archiver that died is up for another claim."""

CANDIDATES_MAX = 1_000

PAUSE_SECONDS_MAX = 1.0
"""After an entry, as long as it took: binding is work beside that of those who serve."""

VOLUME_BYTES_MAX = 4 << 20
VOLUME_DOCUMENTS_MAX = 10_000
"""Of one volume: its contents have to fit a document of the replica's."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Documents to leave, oldest first, for the volume `target` (None: there is none yet)."""

    leaving: tuple[Archived, ...]
    target: Volume | None
    is_last: bool


class Archiver:
    """One process's archiver of one collection: what has been over for `kept_ms` leaves."""

    def __init__(
        self,
        collection: str,
        catalogue: Catalogue,
        store: ObjectStore,
        prefix: str,
        clock: Clock,
        *,
        kept_ms: int,
        read: ReadReplica,
        commit: Commit,
    ) -> None:
        self._name = collection
        self._catalogue = catalogue
        self._collection = catalogue.collections[collection]
        self._store = store
        self._prefix = prefix
        self._clock = clock
        self._kept_ms = kept_ms
        self._read = read
        self._commit = commit
        self._claims = Claims(store, archive.folder_of(prefix, collection))

    def due(self, head: Head) -> str | None:
        """The claim under which documents may leave now; None while too few are due."""
        oldest = self._read(self._oldest)
        if oldest is None:
            return None
        seq = oldest.revision >> ORDINAL_BITS
        return self._claims.name(seq, 1 + (head.seq - seq) // AGAIN_ENTRIES)

    def _oldest(self, view: ReadOnlyView) -> Document | None:
        due = self._due(view, RUN_DOCUMENTS_MIN)
        if not due:
            return None
        since = member(due[0].body, self._since)
        late = since <= self._until_ms() - LATE_MS
        return due[0] if late or len(due) == RUN_DOCUMENTS_MIN else None

    @property
    def _since(self) -> str:
        return self._collection.archive.since if self._collection.archive else ""

    def _until_ms(self) -> int:
        return self._clock.now_ms() - self._kept_ms

    def _due(self, view: ReadOnlyView, limit: int) -> list[Document]:
        found = view.find(due_index(self._name), (), until=self._until_ms(), limit=limit)
        # What a newer release wrote is left to that one: what it means is not known here.
        known = self._collection.version
        return [hit.document for hit in found if view.stored(hit.document).version <= known]

    def make(self, claim: str, stopped: Callable[[], bool]) -> int:
        """Let what is due leave; how many entries that took. Raises StoreError, Refused."""
        if not self._claims.take(claim):
            return 0
        runs = 0
        began = self._clock.monotonic()
        while runs < RUNS_MAX and not stopped() and self.run():
            runs += 1
            self._clock.sleep(min(self._clock.monotonic() - began, PAUSE_SECONDS_MAX))
            began = self._clock.monotonic()
        oldest = self._read(self._oldest)
        if oldest is not None:
            self._claims.clear(oldest.revision >> ORDINAL_BITS)
        return runs

    def run(self) -> bool:
        """Let some leave; False where there is nothing to do, or another was at it."""
        plan = self._read(self._planned)
        if plan is None:
            return False
        made = [self._stored(some) for some in self._portions(plan)]
        done = self._commit(lambda tx: self._leave(tx, plan, made)).value
        superseded = ([plan.target] if plan.target else []) if done else made
        for each in superseded:
            with suppress(StoreError):
                self._store.delete(each.key(self._prefix))
        return done

    def _planned(self, view: ReadOnlyView) -> Plan | None:
        due = self._due(view, CANDIDATES_MAX)
        if not due:
            return None
        target = self._target(view.find, due[0].key)
        behind = None if target is None else archive.volume_behind(view.find, target)
        alike = [each for each in due if self._is_for(view, each.key, target, behind)]
        return Plan(self._bounded(view, alike), target, behind is None)

    def _bounded(self, view: ReadOnlyView, documents: Sequence[Document]) -> tuple[Archived, ...]:
        chosen: list[Archived] = []
        size = 0
        for each in documents[:RUN_DOCUMENTS_MAX]:
            chosen.append(self._archived(view.stored(each)))
            size += len(chosen[-1].body)
            if size >= RUN_BYTES_MIN:
                break
        return tuple(chosen)

    def _target(self, find: archive.Find, key: str) -> Volume | None:
        """The volume that a key belongs into; what is before all of them goes into the first."""
        found = archive.volume_for(find, self._name, key)
        return found or archive.first_volume(find, self._name)

    def _is_for(
        self, view: ReadOnlyView, key: str, target: Volume | None, behind: Volume | None
    ) -> bool:
        if target is None:
            return True
        if behind is not None and key >= behind.first:
            return False
        return key >= target.first or self._target(view.find, key) == target

    # Binding

    def _portions(self, plan: Plan) -> list[list[Archived]]:
        """What is to be in the new volume, by key; in two portions where that is too much."""
        target = plan.target
        held = [] if target is None else archive.read_volume(self._store, self._prefix, target)
        found = {each.key: each for each in held}
        found |= {each.key: each for each in plan.leaving}
        documents = [found[key] for key in sorted(found)]
        if _fits(documents):
            return [documents]
        # The last one is added to at its end: the first portion stays full. Others grow anywhere.
        middle = len(held) if plan.is_last else len(documents) // 2
        cut = min(max(1, middle), len(documents) - 1)
        return [documents[:cut], documents[cut:]]

    def _archived(self, row: Found) -> Archived:
        """As it is stored, and in the list where the replica's index has it."""
        values = list_values(self._catalogue, self._collection, orjson.loads(row.body))
        return Archived(row.key, row.revision, row.version, row.body.encode(), values)

    def _stored(self, documents: Sequence[Archived]) -> Volume:
        bound, contents = volume.bind(documents)
        made = Volume(
            self._clock.random(16).hex(),
            self._name,
            documents[0].key,
            documents[-1].key,
            digest(bound),
            0,
            contents,
        )
        self._store.create(made.key(self._prefix), bound)
        return made

    # Leaving

    def _leave(self, tx: Transaction, plan: Plan, made: Sequence[Volume]) -> bool:
        if not isinstance(tx, BatchTransaction):
            raise TypeError("an archiver's change is run by the committer")
        now = self._target(tx.find, plan.leaving[0].key)
        if now != plan.target:
            return False
        left = [tx.retire(self._name, each.key, each.revision) for each in plan.leaving]
        if not any(left):
            return False
        if plan.target is not None:
            tx.delete(VOLUMES, plan.target.object)
        for each in made:
            tx.put(VOLUMES, each.object, each.to_body())
        return True


def archivers(
    catalogue: Catalogue,
    store: ObjectStore,
    prefix: str,
    clock: Clock,
    *,
    kept_ms: int | None,
    read: ReadReplica,
    commit: Commit,
    stopped: Callable[[], bool],
) -> Iterator[Maker]:
    """A maker for each collection that is archived; none without `kept_ms`."""
    for name, collection in catalogue.collections.items():
        if collection.archive is not None and kept_ms is not None:
            archiver = Archiver(
                name, catalogue, store, prefix, clock, kept_ms=kept_ms, read=read, commit=commit
            )
            yield Maker("volume", archiver.due, partial(archiver.make, stopped=stopped))


def _fits(documents: Sequence[Archived]) -> bool:
    size = sum(len(each.body) for each in documents)
    return len(documents) <= VOLUME_DOCUMENTS_MAX and size <= VOLUME_BYTES_MAX
