"""Fixtures of the engine's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage.world import Container, World


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
