"""What the operator's commands make of the archive: volumes are verified, and exported."""

from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path

import orjson
import pytest

from shared.storage import export
from shared.storage.rebuilding import rebuilt
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


def test_an_export_has_what_left(here: Container, world: World, tmp_path: Path) -> None:
    fill(here, range(20))
    archive(here)
    here.database.transact(order(7, state="reopened"))  # its copy in the volume counts no more
    replica = rebuilt(world.store, PREFIX, world.clock, tmp_path / "r.db", progress, print)

    with closing(replica):
        lines = [
            *export.documents(replica, "orders"),
            *export.archived(world.store, PREFIX, replica, "orders"),
        ]
        assert [*export.archived(world.store, PREFIX, replica, "notes")] == []

    found = {each["key"]: each["document"] for each in map(orjson.loads, lines)}
    assert sorted(found) == [key(number) for number in range(20)]
    assert len(lines) == 20
    assert found[key(7)]["state"] == "reopened"
