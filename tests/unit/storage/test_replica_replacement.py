"""Replacing a container's replica while others want to, or are frozen, or the folder is gone."""

import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from shared.clock import SystemClock
from shared.storage import directory
from shared.storage.catalogue import Catalogue
from shared.storage.directory import ReplicaDirectory
from shared.storage.reader import ReplicaBroken
from shared.storage.replica import Replica, build
from tests.support.waiting import wait_until

CATALOGUE = Catalogue()


class Builder:
    """One process's way to a replica; its building stops at `gate` until the test opens it."""

    def __init__(self, root: Path) -> None:
        self.folder = ReplicaDirectory(root, "database", CATALOGUE, SystemClock())
        self.gate = threading.Event()
        self.building = threading.Event()
        self.replica: Replica | None = None
        self.builds = 0

    def start(self) -> Callable[[], None]:
        thread = threading.Thread(target=self._run_or_fail)
        thread.start()
        return lambda: thread.join(20)

    def _run_or_fail(self) -> None:
        # Who publishes first may remove the other's half-built folder; the other asks again.
        with suppress(OSError, sqlite3.Error):
            self.run()

    def run(self, broken: Replica | None = None) -> None:
        self.replica = self.folder.replace(broken, self._build)

    def _build(self, path: Path) -> None:
        self.builds += 1
        self.building.set()
        assert self.gate.wait(20)
        build(path, CATALOGUE, "database")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "LOCK_SECONDS", 0.1)


def test_who_builds_past_the_locks_patience_gives_way_to_what_was_published_meanwhile(
    impatient: None, tmp_path: Path
) -> None:
    slow, late = Builder(tmp_path), Builder(tmp_path)
    slow_ended = slow.start()
    wait_until(slow.building.is_set, "the first builds")
    late_ended = late.start()
    wait_until(late.building.is_set, "the second no longer waits")
    slow.gate.set()
    slow_ended()
    late.gate.set()
    late_ended()
    late.run()

    assert slow.replica is not None
    slow.replica.check()
    assert late.replica is not None
    assert late.replica.path == slow.replica.path
    assert late.builds == 1


def test_a_thawed_builder_costs_the_others_no_second_build(impatient: None, tmp_path: Path) -> None:
    frozen, other = Builder(tmp_path), Builder(tmp_path)
    frozen_ended = frozen.start()
    wait_until(frozen.building.is_set, "the first builds")
    other.gate.set()
    other.run()
    assert other.replica is not None
    other.replica.check()

    frozen.gate.set()
    frozen_ended()
    assert frozen.replica is not None
    frozen.replica.check()
    with pytest.raises(ReplicaBroken):
        other.replica.check()
    other.run(other.replica)
    assert other.replica.path == frozen.replica.path
    assert other.builds == 1


def test_a_removed_folder_is_made_again(tmp_path: Path) -> None:
    builder = Builder(tmp_path)
    builder.gate.set()
    builder.run()
    lost = builder.replica
    assert lost is not None
    shutil.rmtree(tmp_path)

    with pytest.raises(ReplicaBroken):
        lost.check()
    builder.run(lost)

    assert builder.replica is not None
    builder.replica.check()
