"""Fixtures that several system tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.docker import Docker
from tests.support.image import bases

ROOT = Path(__file__).parents[2]


DOCKERS = frozenset({"test_compose", "test_image"})
"""Share one Docker, with the bases that take a minute to make."""

SINGLY = frozenset({"test_mutants"})


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where processes share the tests, one process takes a file, whose servers it starts once."""
    for item in items:
        name = item.path.stem
        if ROOT / "tests" / "system" in item.path.parents and name not in SINGLY:
            group = "docker" if name in DOCKERS else name
            item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def docker_with_bases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    """A Docker that has what the Dockerfile begins with, made once for all tests that build."""
    compiler, runtime = bases(ROOT)
    with Docker(tmp_path_factory.mktemp("docker")) as docker:
        docker.make_bases(compiler=compiler, runtime=runtime)
        yield docker
