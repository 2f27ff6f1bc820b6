"""The journal that every test of the commands starts from."""

from pathlib import Path

import pytest

from shared.storage.memory import MemoryBucket, MemoryStore
from tests.storage_cli.journal import Scene, copy_of, fill


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[MemoryBucket, Path]:
    """A whole journal, made once, and the directory with its replica."""
    bucket, replicas = MemoryBucket(), tmp_path_factory.mktemp("replicas")
    fill(MemoryStore(bucket), replicas / "commerce")
    return bucket, replicas


@pytest.fixture
def scene(
    original: tuple[MemoryBucket, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Scene:
    return Scene(*copy_of(*original, tmp_path / "replicas"), capsys)
