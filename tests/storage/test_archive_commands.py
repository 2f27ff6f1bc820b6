"""What the operator's commands make of the archive: volumes are verified, and exported."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, cast

import orjson
import pytest

from shared.storage import export
from shared.storage.memory import MemoryStore
from shared.storage.objects import Absent, ObjectStore
from shared.storage.verification import Verification, Verified
from tests.storage.archived import ARCHIVED, archive, fill, key, objects, order
from tests.storage.world import PREFIX, Container, World


@pytest.fixture
def here(world: World) -> Container:
    return world.container("here", catalogue=ARCHIVED)


def progress(label: str, total: int | None) -> AbstractContextManager[Callable[[int], object]]:
    return nullcontext(lambda _: None)


def verified(world: World, workplace: Path) -> tuple[Verified, list[str]]:
    findings: list[str] = []
    with Verification(world.store, PREFIX, world.clock, workplace, findings.append) as verification:
        return verification.run("database", progress), findings


def test_volumes_are_verified(here: Container, world: World, tmp_path: Path) -> None:
    fill(here, range(20))
    archive(here)

    found, findings = verified(world, tmp_path)

    assert findings == []
    assert (found.archived, found.volumes) == (20, len(objects(world)))


@pytest.mark.parametrize("lost", [True, False])
def test_a_damaged_or_lost_volume_is_named(
    lost: bool, here: Container, world: World, tmp_path: Path
) -> None:
    fill(here, range(20))
    archive(here)
    name = objects(world)[0]
    if lost:
        world.store.delete(name)
    else:
        world.bucket.tamper(name, world.store.get(name).replace(b"done", b"DONE", 1))

    _, findings = verified(world, tmp_path)

    assert [each.split(": ")[0] for each in findings] == [f"volume {name}"]


class Meanwhile:
    """A store to read from, beside which something happens before the first volume is read."""

    def __init__(self, store: MemoryStore, happens: Callable[[], object]) -> None:
        self._store = store
        self._happens: Callable[[], object] | None = happens

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def get(self, key: str) -> bytes:
        happens = self._happens
        if happens is not None and key.endswith(".volume"):
            self._happens = None
            happens()
        return self._store.get(key)


def goes_on(here: Container) -> Callable[[], object]:
    """The last volume is bound anew, and one of its documents is brought back."""

    def happens() -> None:
        fill(here, range(20, 40))
        archive(here)
        here.database.transact(order(7, state="reopened"))

    return happens


def test_a_volume_that_was_superseded_meanwhile_is_no_finding(
    here: Container, world: World, tmp_path: Path
) -> None:
    fill(here, range(20))
    archive(here)
    findings: list[str] = []
    store = cast(ObjectStore, Meanwhile(world.store, goes_on(here)))

    with Verification(store, PREFIX, world.clock, tmp_path, findings.append) as verification:
        found = verification.run("database", progress)

    assert findings == []
    assert (found.archived, found.volumes) == (40, len(objects(world)))


def test_an_export_beside_an_archiver_has_each_document_once(
    here: Container, world: World, tmp_path: Path
) -> None:
    fill(here, range(20))
    archive(here)
    store = cast(ObjectStore, Meanwhile(world.store, goes_on(here)))

    lines = [*export.present(store, PREFIX, world.clock, tmp_path, progress, print, "orders")]

    found = [orjson.loads(line) for line in lines]
    assert sorted(each["key"] for each in found) == [key(number) for number in range(40)]
    assert {each["key"]: each["document"]["state"] for each in found}[key(7)] == "reopened"


def test_an_export_of_a_lost_volume_fails(here: Container, world: World, tmp_path: Path) -> None:
    fill(here, range(20))
    archive(here)
    world.store.delete(objects(world)[0])

    with pytest.raises(Absent):
        [*export.present(world.store, PREFIX, world.clock, tmp_path, progress, print, None)]


def test_an_export_has_what_left(here: Container, world: World, tmp_path: Path) -> None:
    fill(here, range(20))
    archive(here)
    here.database.transact(order(7, state="reopened"))  # its copy in the volume counts no more

    def exported(collection: str) -> list[bytes]:
        workplace = tmp_path / collection
        workplace.mkdir()
        return [
            *export.present(
                world.store, PREFIX, world.clock, workplace, progress, print, collection
            )
        ]

    assert exported("notes") == []
    lines = exported("orders")
    found = {each["key"]: each["document"] for each in map(orjson.loads, lines)}
    assert sorted(found) == [key(number) for number in range(20)]
    assert len(lines) == 20
    assert found[key(7)]["state"] == "reopened"
