"""What callers hear when a commit round meets the unusual."""

import errno
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared import errors
from shared.clock import SystemClock
from shared.storage.access import Document, Transaction
from shared.storage.catalogue import Catalogue, Collection
from shared.storage.committer import CommitLimits
from shared.storage.database import JournalDatabase
from shared.storage.memory import Gate, MemoryStore
from shared.storage.proofs import Board, Proof
from shared.storage.turnstile import Turnstile
from tests.support.waiting import wait_until

ENTRY_BYTES_MAX = 2000


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def database(store: MemoryStore, tmp_path: Path) -> Iterator[JournalDatabase]:
    opened = JournalDatabase(
        store,
        Catalogue(Collection("notes")),
        prefix="",
        directory=tmp_path,
        clock=SystemClock(),
        limits=CommitLimits(entry_bytes_max=ENTRY_BYTES_MAX, patience_seconds=10),
    )
    opened.transact(note("first"))
    yield opened
    opened.close()


def note(key: str, size: int = 1) -> Callable[[Transaction], Document]:
    return lambda tx: tx.put("notes", key, {"text": "x" * size})


def refusing(tx: Transaction) -> Document:
    return tx.require("notes", "missing")


class Caller:
    """A change committed from a thread of its own; `outcome` is its value or its exception."""

    def __init__(
        self, database: JournalDatabase, change: Callable[[Transaction], Document]
    ) -> None:
        self.outcome: object = None
        self._thread = threading.Thread(target=self._run, args=(database, change))
        self._thread.start()

    def _run(self, database: JournalDatabase, change: Callable[[Transaction], Document]) -> None:
        try:
            self.outcome = database.transact(change).value
        except errors.Refused as refused:
            self.outcome = refused.problem

    def ended(self) -> object:
        self._thread.join(20)
        return self.outcome


def test_changes_behind_an_oversized_one_are_run_even_if_those_before_it_wrote_nothing(
    database: JournalDatabase, store: MemoryStore
) -> None:
    store.inject("create", gate := Gate())
    callers = [Caller(database, note("held"))]
    gate.wait()
    for waiting, change in enumerate((refusing, note("big", ENTRY_BYTES_MAX), note("small")), 1):
        callers.append(Caller(database, change))
        wait_until(lambda waiting=waiting: _queued(database) == waiting, "the change queues")  # type: ignore[misc]
    gate.release()

    _, missing, big, small = [caller.ended() for caller in callers]

    assert missing == errors.NOT_FOUND
    assert big == errors.TOO_LARGE
    assert isinstance(small, Document)
    assert database.read(lambda view: view.get("notes", "small")).value is not None


def test_what_is_stored_is_answered_as_done_on_a_full_disk(
    database: JournalDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(board: Board, proof: Proof) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Board, "write", full)

    assert database.transact(note("second")).value.key == "second"


def test_a_turn_is_only_a_hint(tmp_path: Path) -> None:
    with Turnstile(tmp_path / "no such folder").turn() as got:
        assert not got


def _queued(database: JournalDatabase) -> int:
    parts = database._parts
    assert parts is not None
    return len(parts.committer._queue)
