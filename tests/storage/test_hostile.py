"""What a container says of a hostile store, a damaged journal or a bad disk, and the way out.

docs/operations.md lists every such sentence with its way out. Each is provoked here, has to be one
of the manual's, and the way out has to lead out; nothing of the manual's may go unprovoked.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any

import orjson
import pytest

from infra.seaweed import free_ports
from shared.clock import SystemClock
from shared.errors import BUSY
from shared.storage import snapshot
from shared.storage.database import JournalDatabase
from shared.storage.idempotency import with_rows
from shared.storage.memory import Apply, Gate, MemoryStore, drop
from shared.storage.objects import ObjectStore
from shared.storage.probe import probe
from shared.storage.s3 import S3Address, S3Store
from shared.storage.snapshot import Snapshots
from tests.storage.archived import ARCHIVED, FOLDER, KEPT_MS, archive, fill, objects, read
from tests.storage.disk import Disk
from tests.storage.world import (
    CATALOGUE,
    JOURNAL,
    PREFIX,
    SEGMENTS,
    SNAPSHOTS,
    Caller,
    Container,
    World,
    add_stock,
    compact,
    compaction,
    key,
    note,
    out_of_descriptors,
    problem,
)
from tests.support import hostile
from tests.support.seaweed import SeaweedServer, new_bucket

MANUAL = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")


def sentences(heading: str) -> list[str]:
    """The first column of the tables below a heading of the manual."""
    section = MANUAL.split(f"## {heading}\n")[1].split("\n## ")[0].split("\n### ")[0]
    return re.findall(r"^\| `([^`]+)`", section, re.MULTILINE)


NOT_READY = sentences("When a container is not ready")
BY_ITSELF = sentences("What a container gets over by itself")


def is_said(sentence: str, text: str) -> bool:
    """Whether `text` is the manual's sentence: ‹…› stands for anything, … for any end."""
    pattern = re.sub(r"‹[^›]*›", ".+", re.escape(sentence).replace("…", ".*"))
    return re.fullmatch(pattern, text, re.DOTALL) is not None


@dataclass(frozen=True, slots=True)
class Scene:
    """What a hazard may have to do with."""

    world: World
    disk: Disk
    seaweed: SeaweedServer
    monkeypatch: pytest.MonkeyPatch


Hazard = Callable[[Scene], AbstractContextManager[JournalDatabase]]
"""Inside of it the trouble is there; it is left by the manual's way out."""


def container(scene: Scene, *, notes: int = 4) -> Container:
    """One that wrote entries 2 to `notes` + 1."""
    made = scene.world.container(f"c{len(scene.world.containers)}")
    for number in range(notes):
        made.database.transact(note(f"n{number}"))
    return made


@contextmanager
def opened(store: ObjectStore, directory: Path) -> Iterator[JournalDatabase]:
    """A container's database as services open it: the store is probed first."""
    clock = SystemClock()
    database = JournalDatabase(
        store,
        CATALOGUE,
        prefix=PREFIX,
        directory=directory,
        clock=clock,
        admit=lambda: probe(store, PREFIX, clock),
    )
    yield database
    database.close()


def unsafe(make: Callable[[], MemoryStore]) -> Hazard:
    @contextmanager
    def hazard(scene: Scene) -> Iterator[JournalDatabase]:
        with opened(make(), scene.world.root / "unsafe") as database:
            yield database

    return hazard


def misaddressed(change: Callable[[S3Address], S3Address]) -> Hazard:
    """A real store at another address, or asked by somebody else."""

    @contextmanager
    def hazard(scene: Scene) -> Iterator[JournalDatabase]:
        address = new_bucket(scene.seaweed)
        store = S3Store(change(address), SystemClock())
        with opened(store, scene.world.root / "misaddressed") as database:
            yield database
        store.close()
        store = S3Store(address, SystemClock())
        with opened(store, scene.world.root / "addressed") as database:
            assert database.transact(note("n")).seq == 2
        store.close()

    return hazard


@contextmanager
def clock_off(scene: Scene) -> Iterator[JournalDatabase]:
    here = container(scene)
    here.clock.pass_wall(seconds=31)
    here.probe()
    yield here.database
    here.clock.pass_wall(seconds=-31)
    here.probe()
    assert here.database.transact(note("n")).seq == 6


@contextmanager
def silent(scene: Scene) -> Iterator[JournalDatabase]:
    here = container(scene)
    answers = Event()

    def unanswered(apply: Apply) -> Any:
        return apply() if answers.is_set() else drop(apply)

    for operation in ("get", "create"):
        here.store.inject(operation, unanswered, key=JOURNAL, times=50)
    here.clock.pass_monotonic(3)
    yield here.database
    answers.set()
    assert here.database.transact(note("n")).seq == 6


@contextmanager
def slow(scene: Scene) -> Iterator[JournalDatabase]:
    here = container(scene)
    scene.monkeypatch.setattr("shared.storage.database.PATIENCE_SECONDS", 0.05)
    here.store.inject("get", gate := Gate(), key=JOURNAL)
    reader = Caller(lambda: here.database.read(lambda view: view.seq))
    gate.wait()
    here.clock.pass_monotonic(3)
    yield here.database
    gate.release()
    reader.outcome()


@contextmanager
def missing(scene: Scene) -> Iterator[JournalDatabase]:
    container(scene)
    stored = scene.world.store.get(key(3))
    scene.world.bucket.delete(key(3))
    there = scene.world.container("there", opened=False)
    yield there.database
    scene.world.store.create(key(3), stored)
    there.clock.pass_monotonic(3)
    assert there.database.transact(note("n")).seq == 6


def altered(**members: object) -> Hazard:
    @contextmanager
    def hazard(scene: Scene) -> Iterator[JournalDatabase]:
        container(scene)
        stored = scene.world.store.get(key(3))
        scene.world.bucket.tamper(key(3), orjson.dumps({**orjson.loads(stored), **members}))
        there = scene.world.container("there", opened=False)
        yield there.database
        scene.world.bucket.tamper(key(3), stored)
        there.clock.pass_monotonic(3)
        assert there.database.transact(note("n")).seq == 6

    return hazard


@contextmanager
def cut_off(scene: Scene) -> Iterator[JournalDatabase]:
    """The last entry is no entry, and there is no copy of it: it is given up."""
    container(scene).close()
    scene.world.bucket.tamper(key(5), b'{"format":1')
    there = scene.world.container("there", opened=False)
    yield there.database
    scene.world.bucket.delete(key(5))
    there.clock.pass_monotonic(3)
    assert there.database.transact(note("n")).seq == 5


@contextmanager
def full(scene: Scene) -> Iterator[JournalDatabase]:
    here = container(scene)
    scene.disk.fill(here)
    here.database.transact(
        lambda tx: [tx.put("notes", f"l{n}", {"t": "x" * 3000}) for n in range(99)]
    )
    here.clock.pass_monotonic(3)
    yield here.database
    scene.disk.free()
    assert here.database.transact(note("n")).seq == 7


@contextmanager
def no_directory(scene: Scene) -> Iterator[JournalDatabase]:
    """Whatever keeps files from being made there, as a disk mounted read-only does."""
    (scene.world.root / "there").write_text("")
    there = scene.world.container("there", opened=False)
    yield there.database
    (scene.world.root / "there").unlink()
    there.clock.pass_monotonic(3)
    assert there.database.transact(note("n")).seq == 2


@contextmanager
def no_descriptors(scene: Scene) -> Iterator[JournalDatabase]:
    """Seen by a thread that has not read yet."""
    here = container(scene)
    database = Caller(here.process).value()
    with out_of_descriptors():
        yield database
    assert database.transact(note("n")).seq == 6


HAZARDS: dict[str, tuple[Hazard, str]] = {
    "ignores the condition": (unsafe(hostile.IgnoresCondition), "The store accepted a second"),
    "replaces": (unsafe(hostile.ReplacesAndRefuses), "A refused create replaced the object"),
    "not atomic": (unsafe(hostile.StoresTheLoser), "‹n› of ‹n› racing creates"),
    "versioning": (unsafe(hostile.Versioned), "The bucket's versioning is"),
    "lists late": (unsafe(hostile.ListsLate), "A listing does not show"),
    "no store": (unsafe(hostile.AnswersAnything), "The store answers for a key"),
    "no date": (unsafe(hostile.Undated), "The store's answers carry no Date"),
    "clock off at first": (unsafe(hostile.Fast), "This machine's clock and the store's differ"),
    "clock off": (clock_off, "this machine's clock is"),
    "wrong secret": (
        misaddressed(lambda address: replace(address, secret_key="another")),
        "the object store denies access",
    ),
    "wrong key": (
        misaddressed(lambda address: replace(address, access_key="nobody")),
        "the object store denies access",
    ),
    "wrong bucket": (
        misaddressed(lambda address: replace(address, bucket="no-such-bucket")),
        "the address names no bucket",
    ),
    "wrong port": (
        misaddressed(lambda a: replace(a, endpoint_url=f"http://127.0.0.1:{free_ports(1)[0]}")),
        "the object store does not answer",
    ),
    "no answer": (silent, "the object store does not answer"),
    "no answer in time": (slow, "the object store does not answer"),
    "missing": (missing, "journal entry ‹n› is missing"),
    "corrupt": (altered(time_ms="now"), "journal entry ‹n› is corrupt"),
    "cut off": (cut_off, "journal entry ‹n› is corrupt"),
    "cannot be applied": (
        altered(writes=[["notes", "n", 3 << 16, 1, {"a": 1 << 60}]]),
        "journal entry ‹n› is corrupt",
    ),
    "misplaced": (altered(seq=9), "journal entry ‹n› says that it is entry"),
    "of another history": (altered(prev="0" * 64), "journal entry ‹n› does not follow entry"),
    "of a newer version": (altered(format=2), "journal entry ‹n› has format"),
    "full disk": (full, "no replica can be built in"),
    "no descriptors": (no_descriptors, "the replica cannot be opened"),
    "no directory": (no_directory, "the directory ‹path› cannot be used"),
}
"""Each with how the sentence begins that it has to lead to."""


@pytest.mark.parametrize("name", HAZARDS)
def test_what_is_wrong_is_named_as_in_the_manual_whose_way_out_leads_out(
    name: str,
    world: World,
    disk: Disk,
    seaweed: SeaweedServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hazard, begins = HAZARDS[name]
    with hazard(Scene(world, disk, seaweed, monkeypatch)) as database:
        [said] = database.troubles()
        assert [each for each in NOT_READY if is_said(each, said)] == [
            each for each in NOT_READY if each.startswith(begins)
        ], said
        refused = Caller(lambda: database.transact(add_stock("lily", 1))).outcome()
        assert name in STILL_WRITES or problem(refused) == BUSY


STILL_WRITES = ("no answer in time",)
"""One read that hangs keeps nobody from writing."""


def test_the_manual_lists_nothing_that_cannot_be_provoked() -> None:
    assert len(NOT_READY) > 10
    beginnings = [begins for _, begins in HAZARDS.values()]
    assert [each for each in NOT_READY if not any(map(each.startswith, beginnings))] == []


# What a container gets over by itself


def ahead(world: World, here: Container, disk: Disk) -> None:
    here.close()
    world.bucket.delete(key(5))
    here.process()


def ahead_while_running(world: World, here: Container, disk: Disk) -> None:
    world.bucket.delete(key(5))
    here.clock.pass_monotonic(61)
    here.database.read(lambda view: view.seq)


def torn(world: World, here: Container, disk: Disk) -> None:
    path = here.replica.path
    path.write_bytes(path.read_bytes()[:-100])
    here.database.read(lambda view: view.seq)


def not_applied(world: World, here: Container, disk: Disk) -> None:
    disk.fill(here)
    here.database.transact(
        lambda tx: [tx.put("notes", f"l{n}", {"t": "x" * 3000}) for n in range(99)]
    )
    disk.free()


def damaged_snapshot(world: World, here: Container, disk: Disk) -> None:
    made = snapshots(here)
    claim = made.due(here.replica.head(), 0)
    assert claim is not None
    done = made.make(claim, here.replica, here.root)
    assert done is not None
    world.bucket.tamper(done.key, b"not gzip")
    world.container("cold")


def no_snapshot(world: World, here: Container, disk: Disk) -> None:
    here.store.inject("create", drop, key=SNAPSHOTS)
    claim = snapshots(here).due(here.replica.head(), 0)
    assert claim is not None
    here.database._makers[0].make(claim)


def damaged_segment(world: World, here: Container, disk: Disk) -> None:
    made = compact(here)
    world.bucket.tamper(made[-1].key, b"not gzip")
    world.container("cold")


def no_segment(world: World, here: Container, disk: Disk) -> None:
    here.store.inject("create", drop, key=SEGMENTS)
    claim = compaction(here).due(here.replica.head())
    assert claim is not None
    here.database._makers[1].make(claim)


def unlisted_segments(world: World, here: Container, disk: Disk) -> None:
    cold = world.container("cold", opened=False)
    cold.store.inject("list", drop, key=SEGMENTS)
    cold.open(cold.database)


def archived(world: World) -> Container:
    keeper = world.container("keeper", catalogue=ARCHIVED, archive_ms=KEPT_MS)
    fill(keeper, range(3))
    archive(keeper)
    return keeper


def unread_archive(world: World, here: Container, disk: Disk) -> None:
    keeper = archived(world)
    keeper.store.inject("get_range", drop)
    assert problem(Caller(lambda: read(keeper, 1)).outcome()) == BUSY


def missing_volume(world: World, here: Container, disk: Disk) -> None:
    keeper = archived(world)
    world.store.delete(objects(world)[0])
    assert problem(Caller(lambda: read(keeper, 1)).outcome()) == BUSY


def no_volume(world: World, here: Container, disk: Disk) -> None:
    keeper = archived(world)
    fill(keeper, range(3, 6))
    keeper.store.inject("create", drop, key=f"{FOLDER}0")
    for digit in "123456789abcdef":
        keeper.store.inject("create", drop, key=FOLDER + digit)
    keeper.database._makers[2].make(f"{FOLDER}claims/x")


def unfollowed(world: World, here: Container, disk: Disk) -> None:
    here.store.inject("get", drop, key=JOURNAL, times=2)
    for _ in range(3):
        here.clock.pass_monotonic(1)
        here.database._follow()


def refused_commit(world: World, here: Container, disk: Disk) -> None:
    here.store.inject("create", drop, key=JOURNAL, times=3)
    refused = Caller(lambda: here.database.transact(note("n"))).outcome()
    assert problem(refused) == BUSY


def snapshots(here: Container) -> Snapshots:
    return Snapshots(here.store, PREFIX, with_rows(CATALOGUE), here.clock)


OVERCOME: dict[str, tuple[Callable[[World, Container, Disk], None], str]] = {
    "ahead": (ahead, "the replica ‹path› is not of this journal"),
    "ahead while running": (ahead_while_running, "the replica is replaced"),
    "torn": (torn, "the replica is replaced"),
    "not applied": (not_applied, "entry ‹n› is stored but not yet applied"),
    "damaged snapshot": (damaged_snapshot, "snapshot ‹key› is passed over"),
    "no snapshot": (no_snapshot, "no snapshot was made"),
    "damaged segment": (damaged_segment, "segment ‹key› is passed over"),
    "unlisted segments": (unlisted_segments, "segments cannot be listed"),
    "no segment": (no_segment, "no segment was made"),
    "unread archive": (unread_archive, "the archive cannot be read"),
    "missing volume": (missing_volume, "an archived volume is missing"),
    "no volume": (no_volume, "no volume was made"),
    "unfollowed": (unfollowed, "the journal is not followed"),
    "refused commit": (refused_commit, "commit refused"),
}


@pytest.mark.usefixtures("small_segments")
@pytest.mark.parametrize("name", OVERCOME)
def test_what_a_container_gets_over_is_in_its_log_as_in_the_manual(
    name: str,
    world: World,
    disk: Disk,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(snapshot, "REPLAY_BYTES_MIN", 1)
    provoke, begins = OVERCOME[name]
    here = world.container("here")
    for number in range(4):
        here.database.transact(note(f"n{number}"))
    provoke(world, here, disk)

    [sentence] = [each for each in BY_ITSELF if each.startswith(begins)]
    said = [r.getMessage() for r in caplog.records if is_said(sentence, r.getMessage())]
    assert len(said) == len(set(said)) > 0
    here.clock.pass_monotonic(3)
    assert here.database.troubles() == []
    assert here.database.transact(note("after")).seq == world.head()
    assert here.dump() == world.replayed()


def test_the_manual_lists_nothing_to_get_over_that_cannot_be_provoked() -> None:
    beginnings = [begins for _, begins in OVERCOME.values()]
    assert [each for each in BY_ITSELF if not any(map(each.startswith, beginnings))] == []


def test_a_container_whose_journal_was_restored_under_it_writes_no_gap(
    here: Container, world: World
) -> None:
    """Stopping writers first is the rule; who forgot it is found out within a minute."""
    for number in range(4):
        here.database.transact(note(f"n{number}"))
    for seq in (4, 5):
        world.bucket.delete(key(seq))
    here.clock.pass_monotonic(61)

    assert here.database.read(lambda view: view.seq).value == 3
    assert here.database.transact(note("after")).seq == 4


def test_a_sentence_with_gaps_is_told_from_another() -> None:
    assert is_said("a ‹n› b …", "a 1 b and so on")
    assert not is_said("a ‹n› b …", "a  b")
    assert not is_said("a", "a b")
