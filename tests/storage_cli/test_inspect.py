"""`inspect` shows what an operator wants to see of a journal first."""

import json

import pytest

from shared.storage.entry import digest
from shared.storage.objects import ObjectInfo
from tests.storage_cli.journal import ENTRIES, PREFIX, SNAPSHOT_AT, Scene


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_it_names_the_database_and_its_head(scene: Scene) -> None:
    ran = scene.run("inspect")
    sizes = [len(scene.entry(seq)) for seq in range(1, ENTRIES + 1)]

    assert ran.code == 0
    assert ["database", json.loads(scene.entry(1))["database"]] in words(ran.out)
    assert ["head", "entry", str(ENTRIES), "of"] in [line[:4] for line in words(ran.out)]
    assert ["hash", digest(scene.entry(ENTRIES))] in words(ran.out)
    assert ["bytes", f"{sum(sizes):,}", "in", str(ENTRIES), "entries"] in words(ran.out)
    assert [str(ENTRIES), f"{sizes[-1]:,}"] in [line[:1] + line[2:3] for line in words(ran.out)]


def test_it_counts_the_documents_of_each_collection(scene: Scene) -> None:
    ran = scene.run("inspect")

    # 18 orders were placed and five of them deleted.
    assert ["13", "orders"] in words(ran.out)
    assert ["1", "products"] in words(ran.out)


def test_it_shows_snapshots_and_whether_they_belong(scene: Scene) -> None:
    size = len(scene.bucket.get(scene.snapshot))

    shown = [line for line in words(scene.run("inspect").out) if "indexes" in line]
    assert [line[:2] + line[-1:] for line in shown] == [[str(SNAPSHOT_AT), f"{size:,}", "belongs"]]

    scene.rewrite(9, lambda content: content["writes"][0][4].update(count=1))
    ran = scene.run("inspect")
    assert "does not belong to this journal" in ran.out
    assert (ran.code, ran.findings) == (1, [f"snapshot {scene.snapshot}: is not of this journal"])


def test_it_shows_local_replicas_and_whether_they_belong(scene: Scene) -> None:
    name = scene.replica.parent.parent.name

    def shown() -> str:
        out = scene.run("inspect", "--replica", str(scene.replicas)).out
        (line,) = [line for line in out.splitlines() if line.endswith(name)]
        return " ".join(line.split()[:-1])

    assert shown() == f"{ENTRIES} belongs"
    with scene.inside_replica() as connection:
        connection.execute("UPDATE head SET seq = 17, hash = ?", (digest(scene.entry(17)),))
    assert shown() == "17 belongs, 3 entries behind"
    scene.rewrite(16, lambda content: content["writes"][0][4].update(count=1))
    assert shown() == "17 does not belong to this journal, 3 entries behind"
    with scene.inside_replica() as connection:
        connection.execute("DROP TABLE head")
    assert shown().startswith("cannot be read")


def test_without_a_usable_snapshot_it_replays_the_journal(scene: Scene) -> None:
    scene.bucket.tamper(scene.snapshot, b"torn")

    ran = scene.run("inspect")

    assert ["13", "orders"] in words(ran.out)
    assert ran.code == 1
    assert ran.findings[0].startswith(f"snapshot {scene.snapshot}: cannot be unpacked")


def test_it_begins_at_the_newest_snapshot(scene: Scene) -> None:
    scene.run("inspect")

    assert scene.store.count("get", scene.key(SNAPSHOT_AT - 1)) == 0
    assert scene.store.count("get", scene.key(SNAPSHOT_AT + 1)) == 1


def test_a_snapshot_removed_since_it_was_listed_is_passed_over(scene: Scene) -> None:
    listed = [ObjectInfo(scene.snapshot, 1)]
    scene.bucket.delete(scene.snapshot)
    scene.store.inject("list", lambda apply: listed, key=f"{PREFIX}snapshots/")

    ran = scene.run("inspect")

    assert (ran.code, ran.findings) == (0, [])
    assert ["13", "orders"] in words(ran.out)


def test_one_entry_is_laid_out_for_reading(scene: Scene) -> None:
    ran = scene.run("inspect", "--entry", "7")
    layout, _, footer = ran.out.strip().rpartition("\n")

    assert ran.code == 0
    assert json.loads(layout) == json.loads(scene.entry(7))
    assert layout.count("\n") > 20
    assert footer == f"{len(scene.entry(7)):,} bytes, hash {digest(scene.entry(7))}"


@pytest.mark.parametrize("stored", [None, b"torn"])
def test_an_entry_that_cannot_be_shown_exits_with_1(scene: Scene, stored: bytes | None) -> None:
    if stored is None:
        scene.bucket.delete(scene.key(7))
    else:
        scene.replace(7, stored)

    ran = scene.run("inspect", "--entry", "7")

    assert ran.code == 1
    assert "entry 7" in ran.err


def test_a_gap_is_named(scene: Scene) -> None:
    scene.bucket.delete(scene.key(15))

    ran = scene.run("inspect")

    assert ran.code == 1
    assert "entry 15 is missing" in ran.err
    assert ["hash", digest(scene.entry(ENTRIES))] in words(ran.out)
