"""`verify` finds a whole journal whole, and names each kind of damage."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.storage.__main__ import FINDINGS_SHOWN
from shared.storage.audit import READ_AHEAD, READ_ATTEMPTS_MAX, Chain
from shared.storage.entry import digest
from shared.storage.memory import MemoryStore, drop, refuse
from shared.storage.objects import Denied
from shared.storage.verification import DIFFERENCES_MAX
from tests.storage_cli.journal import ENTRIES, PREFIX, SNAPSHOT_AT, Scene, forge
from tests.support.clock import FakeClock

DIFFERS = f"orders/order-005 differs: it has revision {5 << 16 | 1}, the journal {5 << 16 | 1}"


def test_a_whole_journal_is_whole(scene: Scene) -> None:
    ran = scene.verify("--replica", str(scene.replicas), "--head", digest(scene.entry(ENTRIES)))

    assert (ran.code, ran.findings) == (0, [])
    assert f"{ENTRIES} with" in ran.out
    assert "one unbroken chain" in ran.out
    assert f"agrees      snapshot {scene.snapshot}, at entry {ENTRIES}" in ran.out
    assert f"agrees      replica {scene.replica}, at entry {ENTRIES}" in ran.out


def test_the_digest_is_that_of_the_documents_in_order(scene: Scene) -> None:
    documents: dict[tuple[str, str], list[Any]] = {}
    for seq in range(1, ENTRIES + 1):
        for collection, key, revision, version, body in json.loads(scene.entry(seq))["writes"]:
            documents[collection, key] = [collection, key, revision, version, body]
    dump = "".join(
        json.dumps(row, ensure_ascii=False, separators=(",", ":"), sort_keys=True) + "\n"
        for _, row in sorted(documents.items())
        if row[4] is not None
    )

    assert hashlib.sha256(dump.encode()).hexdigest() in scene.verify().out


def test_nothing_is_written_to_the_bucket(scene: Scene) -> None:
    scene.verify("--replica", str(scene.replicas))
    scene.run("inspect")
    scene.run("export")

    assert {call.operation for call in scene.store.calls} == {"get", "list"}


# Entries


def test_a_flipped_byte_is_named_by_the_entry_that_no_longer_follows(scene: Scene) -> None:
    scene.replace(7, scene.entry(7).replace(b'"count":7', b'"count":6'))

    ran = scene.verify()

    now, then = digest(scene.entry(7))[:12], json.loads(scene.entry(8))["prev"][:12]
    assert ran.code == 1
    (finding,) = ran.findings
    assert finding == (
        f"entry 8: does not follow entry 7 as it is stored: it names {then}…, "
        f"which is now {now}…; one of the two was altered"
    )


def test_a_byte_that_breaks_an_entry_is_named_there(scene: Scene) -> None:
    scene.replace(7, scene.entry(7).replace(b'"count":7', b'"count:7'))

    ran = scene.verify()

    assert ran.code == 1
    assert ran.findings[0].startswith("entry 7: is corrupt")


def test_a_removed_entry_is_named(scene: Scene) -> None:
    scene.bucket.delete(scene.key(7))

    assert (scene.verify().code, scene.verify().findings) == (1, ["entry 7: is missing"])


def test_a_run_of_removed_entries_is_named_once(scene: Scene) -> None:
    for seq in (7, 8, 9):
        scene.bucket.delete(scene.key(seq))

    assert scene.verify().findings == ["entries 7 to 9: are missing"]


def test_a_removed_first_entry_is_named(scene: Scene) -> None:
    scene.bucket.delete(scene.key(1))

    ran = scene.verify()

    assert (ran.code, ran.findings) == (1, ["entry 1: is missing"])


def test_a_broken_first_entry_is_named(scene: Scene) -> None:
    scene.replace(1, b"{")

    ran = scene.verify()

    assert ran.code == 1
    assert ran.findings[0].startswith("entry 1: is corrupt")


def test_a_first_entry_begins_a_journal(scene: Scene) -> None:
    def forgery(content: dict[str, Any]) -> None:
        del content["database"]
        content["prev"] = "0" * 64

    scene.rewrite(1, forgery)

    findings = scene.verify().findings

    assert findings[:2] == ["entry 1: names no database", "entry 1: names an entry before it"]


def test_two_swapped_entries_are_both_named(scene: Scene) -> None:
    seventh, eighth = scene.entry(7), scene.entry(8)
    scene.replace(7, eighth)
    scene.replace(8, seventh)

    ran = scene.verify()

    assert ran.code == 1
    assert "entry 7: says that it is entry 8" in ran.findings
    assert "entry 8: says that it is entry 7" in ran.findings


def test_damage_does_not_hide_what_stands_behind_it(scene: Scene) -> None:
    scene.bucket.delete(scene.key(4))
    scene.replace(9, b"{}")
    scene.bucket.delete(scene.key(15))

    named = [line.split(":")[0] for line in scene.verify().findings]

    assert named == ["entry 4", "entry 9", "entry 10", "entry 15"]


def test_what_is_no_entry_does_not_belong_into_a_journal(scene: Scene) -> None:
    for name in ("notes.txt", f"{0:020d}.json", f"{5:020d}.json.bak"):
        scene.bucket.create(f"{PREFIX}journal/{name}", b"{}")

    ran = scene.verify()

    assert ran.code == 1
    assert len(ran.findings) == 3
    assert all(line.endswith("is no entry, and nothing else belongs here") for line in ran.findings)
    assert f"agrees      snapshot {scene.snapshot}, at entry {ENTRIES}" in ran.out


def test_an_entry_that_vanishes_while_it_is_read_is_named(scene: Scene) -> None:
    listed = scene.store.list(f"{PREFIX}journal/")
    scene.bucket.delete(scene.key(ENTRIES))
    scene.store.inject("list", lambda apply: listed, key=f"{PREFIX}journal/", times=1)
    findings: list[str] = []

    list(Chain(scene.store, PREFIX, FakeClock(), findings.append).links())

    assert findings == [f"entry {ENTRIES}: is listed, but not there"]


def _backdated(content: dict[str, Any]) -> None:
    content["time_ms"] = 1


def _foreign_revision(content: dict[str, Any]) -> None:
    content["writes"][0][2] = 6 << 16 | 1


def _twice(content: dict[str, Any]) -> None:
    content["writes"].append(content["writes"][0])


def _another_database(content: dict[str, Any]) -> None:
    content["database"] = "0123456789abcdef"


@pytest.mark.parametrize(
    ("forgery", "named"),
    [
        (_backdated, "entry 7: has a time before entry 6's"),
        (_foreign_revision, "entry 7: holds a revision that is another entry's"),
        (_twice, "entry 7: writes one document or revision twice"),
        (_another_database, "entry 7: names a database, which only entry 1 does"),
    ],
)
def test_an_entry_that_no_writer_would_make_is_named_though_the_chain_holds(
    scene: Scene, forgery: Callable[[dict[str, Any]], None], named: str
) -> None:
    scene.rewrite(7, forgery)

    assert named in scene.verify().findings


# Anchors


def test_a_journal_that_lost_its_end_is_found_by_a_hash_kept_elsewhere(scene: Scene) -> None:
    kept = digest(scene.entry(ENTRIES))
    scene.bucket.delete(scene.key(ENTRIES))

    assert scene.verify().code == 0
    ran = scene.verify("--head", kept)

    assert ran.code == 1
    assert ran.findings == [
        f"the hash given: no entry has it; the journal ends at entry {ENTRIES - 1}"
    ]


def test_a_hash_kept_elsewhere_may_be_an_older_heads(scene: Scene) -> None:
    assert scene.verify("--head", digest(scene.entry(5))).code == 0
    assert scene.verify("--head", digest(scene.entry(5)), "--at", "5").code == 0
    assert scene.verify("--head", digest(scene.entry(5)), "--at", "6").code == 1
    assert scene.verify("--head", digest(scene.entry(5)), "--at", "99").code == 1


def test_forged_history_is_found_by_a_hash_kept_elsewhere(scene: Scene) -> None:
    kept = digest(scene.entry(16))
    scene.rewrite(15, lambda content: content["writes"][0][4].update(count=1))

    assert scene.verify().code == 0
    ran = scene.verify("--head", kept, "--at", "16")

    assert ran.code == 1
    assert ran.findings[0].startswith("entry 16: is stored with the hash")


def test_forged_history_before_a_snapshot_contradicts_it(scene: Scene) -> None:
    scene.rewrite(9, lambda content: content["writes"][0][4].update(count=1))

    ran = scene.verify()

    assert ran.code == 1
    assert ran.findings[0].startswith(f"entry {SNAPSHOT_AT}: is stored with the hash")


# Snapshots


def test_a_truncated_snapshot_is_named(scene: Scene) -> None:
    packed = scene.bucket.get(scene.snapshot)
    scene.bucket.tamper(scene.snapshot, packed[: len(packed) // 2])

    ran = scene.verify()

    assert ran.code == 1
    assert [line.split(": ")[0] for line in ran.findings] == [f"snapshot {scene.snapshot}"]
    assert "cannot be unpacked" in ran.findings[0]


def test_a_snapshot_with_another_document_is_named(scene: Scene, tmp_path: Path) -> None:
    with scene.inside_snapshot(tmp_path / "copy") as connection:
        forge(connection, "order-005", '"count":5', '"count":4')

    ran = scene.verify()

    assert ran.code == 1
    assert ran.findings == [f"snapshot {scene.snapshot}: {DIFFERS}"]


def test_a_snapshot_beyond_the_journals_end_is_named(scene: Scene) -> None:
    for seq in range(SNAPSHOT_AT, ENTRIES + 1):
        scene.bucket.delete(scene.key(seq))

    ran = scene.verify()

    assert ran.code == 1
    (finding,) = ran.findings
    assert finding == (
        f"snapshot {scene.snapshot}: there is no entry {SNAPSHOT_AT}; "
        f"the journal ends at entry {SNAPSHOT_AT - 1}"
    )
    assert f"uncompared  snapshot {scene.snapshot}" in ran.out


# Local replicas


def test_a_tampered_row_of_a_local_replica_is_named(scene: Scene) -> None:
    with scene.inside_replica() as connection:
        connection.execute("UPDATE docs SET body = '{}' WHERE key = 'order-005'")

    ran = scene.verify("--replica", str(scene.replicas))

    assert ran.code == 1
    assert ran.findings == [
        f"replica {scene.replica}: the row orders/order-005 does not match its checksum"
    ]
    assert scene.verify().code == 0


def test_rows_whose_checksums_agree_are_compared_with_the_journal(scene: Scene) -> None:
    with scene.inside_replica() as connection:
        forge(connection, "order-005", '"count":5', '"count":4')
        connection.execute("DELETE FROM docs WHERE key = 'order-006'")
        connection.execute(
            "INSERT INTO docs SELECT collection, 'forged', revision, version, sum, body"
            " FROM docs WHERE key = 'order-008'"
        )
        forge(connection, "forged", '"count":8', '"count":1')

    ran = scene.verify("--replica", str(scene.replicas))

    assert ran.code == 1
    assert ran.findings == [
        f"replica {scene.replica}: orders/forged is not in the journal",
        f"replica {scene.replica}: {DIFFERS}",
        f"replica {scene.replica}: orders/order-006 is missing",
    ]


def test_of_many_differences_the_first_are_named(scene: Scene) -> None:
    with scene.inside_replica() as connection:
        connection.execute("DELETE FROM docs")

    findings = scene.verify("--replica", str(scene.replicas)).findings

    assert len(findings) == DIFFERENCES_MAX + 1
    assert findings[-1] == f"replica {scene.replica}: and more"


def test_a_damaged_file_of_a_local_replica_is_named(scene: Scene) -> None:
    content = bytearray(scene.replica.read_bytes())
    for wal in scene.replica.parent.glob("*-wal"):
        wal.unlink()
    content[4096:] = b"\xff" * (len(content) - 4096)
    scene.replica.write_bytes(bytes(content))

    ran = scene.verify("--replica", str(scene.replicas))

    assert ran.code == 1
    assert ran.findings[0].startswith(f"replica {scene.replica}: cannot be read")


def test_a_replica_ahead_of_a_restored_bucket_is_named(scene: Scene) -> None:
    scene.bucket.delete(scene.key(ENTRIES))

    ran = scene.verify("--replica", str(scene.replicas))

    assert ran.code == 1
    (finding,) = ran.findings
    assert finding == (
        f"replica {scene.replica}: there is no entry {ENTRIES}; "
        f"the journal ends at entry {ENTRIES - 1}"
    )


def test_a_replica_that_is_not_there_cannot_be_compared(scene: Scene, tmp_path: Path) -> None:
    ran = scene.verify("--replica", str(tmp_path / "elsewhere"))

    assert ran.code == 2
    assert "no replica of this journal" in ran.err


# The work itself


def test_requests_without_an_answer_are_made_again(scene: Scene) -> None:
    scene.store.inject("get", drop, key=scene.key(7), times=READ_ATTEMPTS_MAX - 1)
    scene.store.inject("list", drop, times=READ_ATTEMPTS_MAX - 1)

    assert scene.verify().code == 0


def test_a_store_that_does_not_answer_is_no_damage(scene: Scene) -> None:
    scene.store.inject("get", drop, key=scene.key(7), times=READ_ATTEMPTS_MAX)

    ran = scene.verify()

    assert (ran.code, ran.findings) == (2, [])
    assert "Uncertain" in ran.err


def test_refused_credentials_are_no_damage(scene: Scene) -> None:
    scene.store.inject("get", refuse(Denied("403")))

    assert scene.verify().code == 2


def test_no_journal_is_not_a_whole_journal(scene: Scene) -> None:
    for seq in range(1, ENTRIES + 1):
        scene.bucket.delete(scene.key(seq))

    ran = scene.verify()

    assert ran.code == 1
    assert "there is no journal" in ran.err


def test_few_entries_are_held_at_once(scene: Scene) -> None:
    store = MemoryStore(scene.bucket)
    findings: list[str] = []
    for seq in range(ENTRIES + 1, 5 * READ_AHEAD):
        scene.bucket.create(scene.key(seq), b"")
    links = Chain(store, PREFIX, FakeClock(), findings.append).links()

    next(links)

    assert store.count("get") <= READ_AHEAD
    assert sum(1 for _ in links) == 5 * READ_AHEAD - 2


@pytest.mark.parametrize("last", [0, 1, 2, 3, 7, 8, 9, 1000])
def test_the_last_entry_is_found_in_few_listings(last: int) -> None:
    store = MemoryStore()
    for seq in range(1, last + 1):
        store.bucket.create(f"{PREFIX}journal/{seq:020d}.json", b"")

    assert Chain(store, PREFIX, FakeClock(), print).last() == last
    assert len(store.calls) <= 2 * (last.bit_length() + 1)


def test_of_many_findings_the_first_are_shown_and_all_are_counted(scene: Scene) -> None:
    for number in range(FINDINGS_SHOWN + 5):
        scene.bucket.create(f"{PREFIX}journal/{number}", b"")

    ran = scene.verify()

    assert len(ran.findings) == FINDINGS_SHOWN
    assert "… and more\n" in ran.out
    assert f"findings    {FINDINGS_SHOWN + 5}" in ran.out


def test_progress_is_shown_when_asked_for(scene: Scene) -> None:
    assert "entries" not in scene.verify().err
    assert "entries: 100%" in scene.verify("--progress").err


@pytest.mark.parametrize(
    "options",
    [("--head", "not a hash"), ("--at", "5"), ("--head", "0" * 64, "--at", "0"), ("--what",)],
)
def test_wrong_arguments_exit_with_2(scene: Scene, options: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        scene.verify(*options)

    assert ended.value.code == 2
