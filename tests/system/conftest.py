"""Fixtures that several system tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.docker import Docker
from tests.support.image import bases

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def docker_with_bases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    """A Docker that has what the Dockerfile begins with, made once for all tests that build."""
    compiler, runtime = bases(ROOT)
    with Docker(tmp_path_factory.mktemp("docker")) as docker:
        docker.make_bases(compiler=compiler, runtime=runtime)
        yield docker
