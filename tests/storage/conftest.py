"""Fixtures of the engine's tests."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.storage import compaction, journal
from shared.storage import replica as replicas
from tests.storage.disk import Disk
from tests.storage.world import Container, World

_FOLD = replicas.Replica.fold


@pytest.fixture(autouse=True)
def _folded_by_commits_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that folds the log would mend what a test breaks of a replica's file by hand."""
    monkeypatch.setattr(replicas.Replica, "fold", lambda _: True)


@pytest.fixture
def folding(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log is folded beside commits, as in production."""
    monkeypatch.setattr(replicas.Replica, "fold", _FOLD)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def here(world: World) -> Container:
    return world.container("here")


@pytest.fixture
def there(world: World) -> Container:
    return world.container("there")


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    made = Disk()
    monkeypatch.setattr(replicas, "_opened", made.connect)
    yield made
    made.free()


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of five entries, two of them merged, are worth making and reading."""
    monkeypatch.setattr(compaction, "CUT_ENTRIES_MAX", 5)
    monkeypatch.setattr(compaction, "MERGED_MAX", 2)
    monkeypatch.setattr(compaction, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(journal, "SEGMENT_ENTRIES_MIN", 2)


_watched: list[list[str]] = []


def _record_open(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _watched:
        _watched[-1].append(str(arguments[0]))


@pytest.fixture
def opened_paths() -> Iterator[list[str]]:
    """The files that Python code opens during the test, SQLite's own not among them."""
    if not _record_open.__dict__.setdefault("hooked", False):
        sys.addaudithook(_record_open)  # for the rest of the process: there is no way to undo it
        _record_open.__dict__["hooked"] = True
    _watched.append([])
    yield _watched[-1]
    _watched.pop()
