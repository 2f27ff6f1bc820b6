"""All that a program of the platform asks of a store, in a few seconds: `Duties(…).fulfil(name)`.

The programs' own code runs, with thresholds made low (`small_work`): so a journal soon has
snapshots that supersede others, segments and an archive whose volumes are replaced, and is
followed, copied and verified. What was asked is remembered, and what was denied, also where the
code makes nothing of it.
"""

import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest
from PIL import Image

from infra.rights import AUDITOR
from infra.services import SERVICES
from services.commerce.domain import CATALOGUE as COMMERCE
from services.commerce.notices import NOTICES
from services.commerce.pictures import Gallery, sized
from shared.clock import Clock, SystemClock
from shared.notices import outbox
from shared.notices.feed import Feed
from shared.notices.outbox import database_of
from shared.sealing import Vault
from shared.storage import archiver, compaction, journal, snapshot
from shared.storage.access import Transaction
from shared.storage.archive import with_volumes
from shared.storage.archiver import Archiver
from shared.storage.audit import ReadOnlyStore, located
from shared.storage.catalogue import Archive, Catalogue, Collection, Index
from shared.storage.compaction import Compaction
from shared.storage.database import JournalDatabase
from shared.storage.idempotency import with_rows
from shared.storage.inspection import Inspection
from shared.storage.journal import Journal
from shared.storage.location import KEYS, PICTURES, Protection
from shared.storage.objects import Denied, Exists, ObjectInfo, ObjectStore
from shared.storage.probe import probe
from shared.storage.snapshot import Snapshots
from shared.storage.trail import Trail
from shared.storage.verification import Verification

CATALOGUE = Catalogue(
    Collection(
        "orders",
        indexes=(Index("orders_by_citizen", ("citizen",)),),
        archive=Archive(since="closed_ms", list="orders_by_citizen"),
    )
)

ROUNDS = 3
"""Of everything that is derived: the third snapshot supersedes the first."""

T = TypeVar("T")
Open = Callable[[str, Protection], ObjectStore]
"""A program's own way into the bucket of a class."""


def small_work(patch: pytest.MonkeyPatch) -> None:
    """Make everything that is derived worth making at once."""
    patch.setattr(snapshot, "REPLAY_BYTES_MIN", 1)
    patch.setattr(snapshot, "REPLAY_SHARE", 1 << 40)
    patch.setattr(compaction, "CUT_ENTRIES_MAX", 2)
    patch.setattr(compaction, "MERGED_MAX", 2)
    patch.setattr(journal, "SEGMENT_ENTRIES_MIN", 2)
    patch.setattr(archiver, "RUN_DOCUMENTS_MIN", 1)
    # Copies are made here, as a process of its own would take a second each.
    patch.setattr(snapshot, "_run_maker", snapshot.copy_replica)
    patch.setattr("os.nice", lambda _: 0)


@dataclass
class Watched:
    """Another store of a class. Implements `ObjectStore`."""

    store: ObjectStore
    protection: Protection
    asked: set[tuple[Protection, str, str]]
    denied: list[str]

    def create(self, key: str, body: bytes) -> None:
        self._did("create", key, lambda: self.store.create(key, body))

    def get(self, key: str) -> bytes:
        return self._did("read", key, lambda: self.store.get(key))

    def get_range(self, key: str, start: int, length: int) -> bytes:
        return self._did("read", key, lambda: self.store.get_range(key, start, length))

    def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[ObjectInfo]:
        return self._did("list", prefix, lambda: self.store.list(prefix, after=after, limit=limit))

    def delete(self, key: str) -> None:
        self._did("delete", key, lambda: self.store.delete(key))

    def clock_skew_ms(self) -> int | None:
        return self.store.clock_skew_ms()

    def versioning(self) -> str:
        return self.store.versioning()

    def _did(self, right: str, key: str, act: Callable[[], T]) -> T:
        self.asked.add((self.protection, right, key))
        try:
            return act()
        except Denied as error:
            self.denied.append(f"{right} {self.protection} {key}: {error}")
            raise


@dataclass
class Duties:
    """What programs do, in the buckets that `open_` gives: one at a time, services first. What is
    audited are the journals that there are then.
    """

    open_: Open
    root: Path
    kept: list[str] = field(default_factory=list)
    prefix: str = ""
    clock: Clock = field(default_factory=SystemClock)
    denied: list[str] = field(default_factory=list)

    def fulfil(self, program: str) -> set[tuple[Protection, str, str]]:
        """Do all of one program's; (class, right, key or prefix) of everything that it asked."""
        asked: set[tuple[Protection, str, str]] = set()

        def opened(protection: Protection) -> Watched:
            return Watched(self.open_(program, protection), protection, asked, self.denied)

        if program == AUDITOR:
            for name in self.kept:
                self._audit(opened("state"), opened("audit"), name)
            return asked
        self.kept.append(program)
        if program in SERVICES:
            self._keep(opened("state"), program, CATALOGUE, self._write)
        else:
            service = next(each for each in SERVICES if database_of(each) == program)
            self._keep(opened("state"), program, outbox.CATALOGUE, self._follow_of(service, opened))
        if program == "identity":
            self._seal(opened(KEYS.protection), f"{self.prefix}identity/{KEYS.folder}/")
        if program == "commerce":
            self._show(opened(PICTURES.protection), f"{self.prefix}commerce/{PICTURES.folder}/")
        return asked

    # A journal of one's own

    def _keep(
        self,
        store: Watched,
        name: str,
        catalogue: Catalogue,
        work: Callable[[JournalDatabase, int], None],
    ) -> None:
        prefix = f"{self.prefix}{name}/"
        with self._database(store, name, catalogue, "warm") as database:
            for number in range(ROUNDS):
                work(database, number)
                self._derive(store, prefix, database, with_volumes(with_rows(catalogue)))
        # A container that starts anew comes by snapshot, segments and what is behind.
        with self._database(store, name, catalogue, "cold") as database:
            work(database, ROUNDS)
            if catalogue is CATALOGUE:
                found = database.read(lambda view: view.require("orders", "order_00_0"))
                assert found.value.body["number"] == 0

    @contextmanager
    def _database(
        self, store: Watched, name: str, catalogue: Catalogue, container: str
    ) -> Iterator[JournalDatabase]:
        prefix = f"{self.prefix}{name}/"
        database = JournalDatabase(
            store,
            catalogue,
            prefix=prefix,
            directory=self.root / container / name,
            clock=self.clock,
            admit=lambda: probe(store, prefix, self.clock),
        )
        try:
            yield database
        finally:
            database.close()

    @staticmethod
    def _write(database: JournalDatabase, number: int) -> None:
        for count in range(2):

            def change(tx: Transaction, count: int = count) -> None:
                body = {"citizen": "c", "number": number, "closed_ms": 1 + number}
                tx.put("orders", f"order_{number:02}_{count}", body)

            database.transact(change)

    def _derive(
        self, store: Watched, prefix: str, database: JournalDatabase, catalogue: Catalogue
    ) -> None:
        replica = database._opened().follower.replica
        snapshots = Snapshots(store, prefix, catalogue, self.clock)
        claim = snapshots.due(replica.head(), 0)
        # The database's own maker may have been at it.
        with suppress(Exists):
            if claim is not None:
                snapshots.make(claim, replica, replica.path.parent)
        making = Compaction(store, prefix, self.clock)
        claim = making.due(replica.head())
        if claim is not None:
            making.make(claim, replica.head(), lambda: False)
        for name, collection in catalogue.collections.items():
            if collection.archive is not None:
                worker = Archiver(
                    name,
                    catalogue,
                    store,
                    prefix,
                    self.clock,
                    kept_ms=1,
                    read=database._read_replica,
                    commit=database._commit,
                )
                claim = worker.due(replica.head())
                assert claim is not None
                worker._claims.take(claim)
                assert worker.run()
                worker._claims.clear(replica.head().seq + 1)

    # Another's, and others'

    def _follow_of(
        self, service: str, opened: Callable[[Protection], Watched]
    ) -> Callable[[JournalDatabase, int], None]:
        journal = Journal(opened("state"), f"{self.prefix}{service}/", self.clock)

        def follow(database: JournalDatabase, number: int) -> None:
            feed = Feed(journal, database, NOTICES, COMMERCE, self.clock)
            while feed.step():
                pass
            outbox.claim(database, 1)
            stands = outbox.read_cursor(database)
            [stored] = journal.read_range(2, 2)
            moved = outbox.Cursor(number + 2, "of a test")
            assert stored
            assert outbox.write_down(database, [], stands, moved)
            # Next time it reads from the beginning, as after a restore.

        return follow

    def _audit(self, source: Watched, target: Watched, name: str) -> None:
        prefix = f"{self.prefix}{name}/"
        trail = Trail(Journal(source, prefix, self.clock), target, prefix)
        assert trail.copy().pieces > 0
        assert trail.copy().pieces == 0
        assert list(trail.check()) == []
        reading = ReadOnlyStore(source, self.clock)
        workplace = self.root / "audit" / name
        workplace.mkdir(parents=True)
        found: list[str] = []
        inspection = Inspection(
            reading,
            prefix,
            self.clock,
            replicas=self.root / "none",
            workplace=workplace,
            report=found.append,
        )
        assert list(inspection.lines(_silent))
        with Verification(reading, prefix, self.clock, workplace, found.append) as verification:
            verification.add_snapshots()
            verification.run(located(reading, prefix, self.clock), _silent, singly=False)
        assert found == []

    # Beside the journal

    def _seal(self, store: Watched, prefix: str) -> None:
        vault = Vault(store, prefix, {"test": bytes(32)}, self.clock)
        sealed = vault.seal("names", "account_1", b"name")
        assert vault.unseal("names", "account_1", sealed) == b"name"
        vault.erase("account_1")
        vault.seal("names", "account_2", b"name")

    def _show(self, store: Watched, prefix: str) -> None:
        gallery = Gallery(store, prefix, self.clock)
        file = io.BytesIO()
        Image.new("RGB", (32, 32), "red").save(file, "PNG")
        first, second = (gallery.keep(sized(file.getvalue())) for _ in range(2))
        assert gallery.read(second, "160")
        gallery.drop([first])


def _silent(label: str, total: int | None) -> AbstractContextManager[Callable[[int], object]]:
    return nullcontext(lambda _: None)
