"""Fixtures of the tests of notices."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.notices.world import Phones, Street


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Street]:
    made = Street(tmp_path)
    yield made
    made.close()


@pytest.fixture
def phones() -> Phones:
    return Phones()
