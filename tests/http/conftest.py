"""Fixtures of the HTTP tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bureau import Bureau
from tests.support.gate import Gate
from tests.support.houses import Open
from tests.support.shop import Shop


@pytest.fixture
def fresh_shop(tmp_path: Path) -> Iterator[Shop]:
    """Commerce with nothing in it."""
    with Shop(tmp_path) as shop:
        yield shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Commerce that the tests of one module share: each brings its own stores and people."""
    with Shop(tmp_path_factory.mktemp("shop")) as shop:
        yield shop


@pytest.fixture
def fresh_gate(tmp_path: Path) -> Iterator[Gate]:
    """Tourism with nobody's bookings in it."""
    with Gate(tmp_path) as gate:
        yield gate


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """Tourism that the tests of one module share: each opens its own sessions."""
    with Gate(tmp_path_factory.mktemp("gate")) as gate:
        yield gate


@pytest.fixture
def bureau(tmp_path: Path) -> Iterator[Bureau]:
    """Identity, with an app and a firm, and nobody who has signed in."""
    with Bureau(tmp_path / "bureau") as bureau:
        yield bureau


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """Every service, shared by the tests of one module."""
    each = Open(tmp_path_factory.mktemp("houses"))
    yield each
    each.close()
