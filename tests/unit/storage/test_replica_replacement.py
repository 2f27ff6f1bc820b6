"""Replacing a container's replica while others want to, or are frozen, or the folder is gone."""

import fcntl
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from shared.clock import SystemClock
from shared.storage import directory
from shared.storage.catalogue import Catalogue, Collection, Index
from shared.storage.directory import ReplicaDirectory
from shared.storage.reader import ReplicaBroken
from shared.storage.replica import Replica, build
from tests.support.waiting import wait_until

CATALOGUE = Catalogue()


def release(number: int) -> Catalogue:
    """What a release declares; each has other indexes."""
    return Catalogue(Collection("notes", indexes=(Index(f"notes_{number}", ("text",)),)))


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


class Releases:
    """Releases that begin, one after the other, in one directory."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._begun = 0.0

    def begin(self, number: int) -> ReplicaDirectory:
        folder = ReplicaDirectory(self._root, "database", release(number), SystemClock())
        self._begun += 1
        os.utime(folder.path / directory.IN_USE, (self._begun, self._begun))
        folder.replace(None, lambda path: build(path, release(number), "database")).close()
        return folder

    def left(self) -> int:
        return len(list(self._root.glob("*/current")))


def test_of_earlier_releases_one_replica_is_kept_for_a_way_back(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    for number in range(5):
        releases.begin(number).close()
        assert releases.left() <= 2
    back = releases.begin(3)
    assert releases.left() == 2
    back.close()


def test_the_replica_of_a_release_that_still_serves_is_left_alone(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    serving = releases.begin(0)
    for number in range(1, 5):
        releases.begin(number).close()
    assert releases.left() == 3
    assert serving.published() is not None

    serving.close()
    releases.begin(5).close()
    assert releases.left() == 2
    assert list(tmp_path.glob("*-unused-*")) == []


def test_what_does_not_say_that_it_is_unused_is_left_alone(tmp_path: Path) -> None:
    """As a release's that came before there was a lock for it."""
    releases = Releases(tmp_path)
    (releases.begin(0).path / directory.IN_USE).unlink()
    for number in range(1, 4):
        releases.begin(number).close()

    assert releases.left() == 3


def test_who_begins_as_a_folder_is_removed_has_another(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    for number in range(2):
        releases.begin(number).close()
    old = ReplicaDirectory(tmp_path, "database", release(0), SystemClock())
    old.close()
    lock = os.open(old.path / directory.IN_USE, os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)

    def remove() -> None:
        old.path.rename(tmp_path / "away")
        os.close(lock)

    removing = threading.Timer(0.1, remove)
    removing.start()

    with closing(releases.begin(0)) as begun:
        removing.join(20)
        assert (begun.path / directory.IN_USE).exists()
        assert begun.published() is not None
