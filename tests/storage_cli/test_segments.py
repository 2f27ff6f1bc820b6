"""What the commands make of segments: read where they are true, named where they are not."""

import gzip
import json
from collections.abc import Callable

import pytest

from shared.storage import compaction, journal
from shared.storage.compaction import Compaction
from shared.storage.memory import refuse
from shared.storage.objects import Denied
from shared.storage.reader import Head
from shared.storage.segments import Segment
from tests.storage_cli.journal import ENTRIES, PREFIX, Scene
from tests.support.clock import FakeClock

SEGMENTS = f"{PREFIX}segments/"


@pytest.fixture
def made(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> list[Segment]:
    """Of the twenty entries: 1 to 4, 5 to 8, 1 to 8, and so on to 16, and 17 to 20."""
    monkeypatch.setattr(compaction, "CUT_ENTRIES_MAX", 4)
    monkeypatch.setattr(compaction, "MERGED_MAX", 2)
    monkeypatch.setattr(compaction, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(journal, "SEGMENT_ENTRIES_MIN", 2)
    size = sum(len(scene.entry(seq)) for seq in range(1, ENTRIES + 1))
    head = Head(ENTRIES, "", 0, size)
    making = Compaction(scene.store, PREFIX, FakeClock())
    segments = making.make(f"{SEGMENTS}claims/a", head, lambda: False)
    scene.store.calls.clear()
    return segments


def findings(scene: Scene, *options: str) -> list[str]:
    return scene.verify(*options).findings


def keys_read(scene: Scene) -> set[int]:
    """The entries that were read under their own keys."""
    folder = f"{PREFIX}journal/"
    read = [call.key for call in scene.store.calls if call.operation == "get"]
    return {int(key[len(folder) :][:20]) for key in read if key.startswith(folder)}


def test_a_sound_journal_is_verified_by_segments(scene: Scene, made: list[Segment]) -> None:
    whole = scene.verify("--every-entry").out
    scene.store.calls.clear()

    ran = scene.verify()

    assert ran.code == 0
    assert "segments    7 that end with entries of this journal" in ran.out
    assert "read        0 under their own keys, the others in segments" in ran.out
    assert [line for line in ran.out.splitlines() if line.startswith(("digest", "head"))] == [
        line for line in whole.splitlines() if line.startswith(("digest", "head"))
    ]
    # Entry 1 names the database, 12 has the snapshot's hash, the others end segments.
    assert keys_read(scene) == {1, 4, 8, 12, 16, 20}


def test_every_entry_is_read_where_that_is_asked_for(scene: Scene, made: list[Segment]) -> None:
    ran = scene.verify("--every-entry")

    assert ran.code == 0
    assert f"read        {ENTRIES} under their own keys" in ran.out
    assert keys_read(scene) == set(range(1, ENTRIES + 1))


def test_an_entry_that_is_gone_is_named_though_a_segment_holds_it(
    scene: Scene, made: list[Segment]
) -> None:
    scene.bucket.delete(scene.key(7))

    assert "entry 7: is missing" in findings(scene)


def test_an_entry_of_another_size_is_read_and_named(scene: Scene, made: list[Segment]) -> None:
    scene.replace(7, scene.entry(7).replace(b'"count":7', b'"count":777'))

    found = findings(scene)

    assert any(line.startswith("entry 8: does not follow entry 7") for line in found)
    assert any(line.endswith("holds entry 7 otherwise than it is") for line in found)


def test_an_entry_altered_within_its_size_is_found_by_reading_every_entry(
    scene: Scene, made: list[Segment]
) -> None:
    scene.replace(7, scene.entry(7).replace(b'"count":7', b'"count":9'))

    assert findings(scene) == []
    found = findings(scene, "--every-entry")
    assert any(line.startswith("entry 8: does not follow entry 7") for line in found)


def test_an_altered_entry_at_the_end_of_a_segment_is_found(
    scene: Scene, made: list[Segment]
) -> None:
    scene.replace(8, scene.entry(8).replace(b'"count":8', b'"count":9'))

    found = findings(scene)

    ends = [line for line in found if line.endswith("end with entry 8 as the journal holds it")]
    assert len(ends) == 2  # of level 1 and of level 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda packed: b"",
        lambda packed: packed[:-30],
        lambda packed: gzip.compress(gzip.decompress(packed).replace(b'"sold":6', b'"sold":8')),
    ],
)
def test_a_damaged_segment_is_named_and_the_entries_are_read(
    scene: Scene, made: list[Segment], damage: Callable[[bytes], bytes]
) -> None:
    [segment] = [each for each in made if (each.level, each.first) == (1, 5)]
    scene.bucket.tamper(segment.key, damage(scene.bucket.get(segment.key)))

    ran = scene.verify()

    assert ran.code == 1
    assert [line.split(": ")[0] for line in ran.findings] == [f"segment {segment.key}"]
    assert f"entries     {ENTRIES} with" in ran.out


def test_a_segment_of_entries_that_are_not_there_is_named(
    scene: Scene, made: list[Segment]
) -> None:
    for seq in range(17, ENTRIES + 1):
        scene.bucket.delete(scene.key(seq))

    [beyond] = [each for each in made if each.first == 17]
    assert f"segment {beyond.key}: is of entries that the journal does not hold" in findings(scene)


def test_segments_that_cannot_be_read_are_no_finding(scene: Scene, made: list[Segment]) -> None:
    scene.store.inject("get", refuse(Denied("403")), key=SEGMENTS)

    assert scene.verify().code == 2


def test_an_export_of_entries_is_the_same(scene: Scene, made: list[Segment]) -> None:
    lines = scene.run("export", "--entries").out.splitlines()

    assert [line.encode() for line in lines] == [scene.entry(seq) for seq in range(1, ENTRIES + 1)]
    assert keys_read(scene) == {4, 8, 12, 16, 20}
    assert all(json.loads(line) for line in lines)


def test_segments_are_shown(scene: Scene, made: list[Segment]) -> None:
    shown = scene.run("inspect").out

    assert "         5  of level 1, up to entry 20\n" in shown
    assert "         2  of level 2, up to entry 16\n" in shown
