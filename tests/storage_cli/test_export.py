"""`export` gives all of the data or none of it."""

import hashlib
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from shared.storage import export
from tests.storage_cli.journal import ENTRIES, Scene


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_every_current_document_is_a_line(scene: Scene) -> None:
    ran = scene.run("export")
    stored: dict[tuple[str, str], dict[str, Any]] = {}
    names = ("collection", "key", "revision", "version", "document")
    for seq in range(1, ENTRIES + 1):
        for write in json.loads(scene.entry(seq))["writes"]:
            stored[write[0], write[1]] = dict(zip(names, write, strict=True))

    expected = [row for _, row in sorted(stored.items()) if row["document"] is not None]
    assert (ran.code, ran.err) == (0, f"{len(expected):,} lines\n")
    assert lines(ran.out) == expected


def test_one_collection_can_be_chosen(scene: Scene) -> None:
    ran = scene.run("export", "--collection", "products")

    assert [line["collection"] for line in lines(ran.out)] == ["products"]


def test_a_damaged_snapshot_changes_nothing_in_an_export(scene: Scene) -> None:
    whole = scene.run("export").out
    scene.bucket.tamper(scene.snapshot, b"torn")

    ran = scene.run("export")

    assert (ran.code, ran.out) == (0, whole)
    assert f"snapshot {scene.snapshot}" in ran.err


def test_the_chain_can_be_checked_on_its_export(scene: Scene) -> None:
    ran = scene.run("export", "--entries")
    exported = ran.out.splitlines()

    assert ran.code == 0
    assert len(exported) == ENTRIES
    for before, line in pairwise(exported):
        assert json.loads(line)["prev"] == hashlib.sha256(before.encode()).hexdigest()


def test_a_file_appears_whole(scene: Scene, tmp_path: Path) -> None:
    output = tmp_path / "documents.jsonl"
    output.write_text("an earlier export")

    ran = scene.run("export", "--output", str(output))

    assert (ran.code, ran.out) == (0, "")
    assert output.read_text() == scene.run("export").out


@pytest.mark.parametrize("what", [(), ("--entries",)])
def test_a_damaged_journal_leaves_the_earlier_file_alone(
    scene: Scene, tmp_path: Path, what: tuple[str, ...]
) -> None:
    output = tmp_path / "out" / "export.jsonl"
    output.parent.mkdir()
    output.write_text("an earlier export")
    scene.bucket.delete(scene.key(17))

    ran = scene.run("export", "--output", str(output), *what)

    assert ran.code == 1
    assert "17" in ran.err
    assert output.read_text() == "an earlier export"
    assert list(output.parent.iterdir()) == [output]


def test_entries_that_do_not_follow_are_not_exported(scene: Scene, tmp_path: Path) -> None:
    output = tmp_path / "export.jsonl"
    scene.replace(7, scene.entry(7).replace(b'"count":7', b'"count":6'))

    assert scene.run("export", "--entries", "--output", str(output)).code == 1
    assert not output.exists()


def test_an_entry_that_cannot_be_one_line_is_not_exported(scene: Scene) -> None:
    scene.rewrite(ENTRIES, lambda content: None)
    scene.replace(ENTRIES, scene.entry(ENTRIES).replace(b',"writes"', b',\n"writes"'))

    ran = scene.run("export", "--entries")

    assert ran.code == 1
    assert "holds a line break" in ran.err


def test_a_failure_midway_leaves_no_file(tmp_path: Path) -> None:
    output = tmp_path / "out" / "export.jsonl"
    output.parent.mkdir()

    def interrupted() -> None:
        with export.destination(output) as file:
            file.write(b"half of it\n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert list(output.parent.iterdir()) == []


def test_a_file_that_cannot_be_written_exits_with_2(scene: Scene, tmp_path: Path) -> None:
    ran = scene.run("export", "--output", str(tmp_path / "nowhere" / "export.jsonl"))

    assert ran.code == 2
    assert "nowhere" in ran.err


@pytest.mark.parametrize("what", [(), ("--entries",)])
def test_no_journal_is_no_empty_export(scene: Scene, what: tuple[str, ...]) -> None:
    for seq in range(1, ENTRIES + 1):
        scene.bucket.delete(scene.key(seq))

    ran = scene.run("export", *what)

    assert ran.code == 1
    assert "there is no journal" in ran.err
